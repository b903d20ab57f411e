"""What labkit costs over the raw builder, side by side in one run, as a ratio of medians.

    python -m tests.benchmarks.overhead [--rounds 15]

On docker-26.1 of tests/engines (root on Debian). "raw" is the docker CLI for BuildKit and the
SDK's api.build for the classic builder, on the same folder; the two take turns. A cold build has
a line that no cache knows; a cached one has been built before. Also: the import of labkit
against that of the SDK, each in a fresh interpreter.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import docker

from labkit import Lab
from tests.conftest import serve, write_recipe

LINES = """RUN echo {nonce} > /a && sleep 0.5
COPY files /files
RUN cat /files/* > /all && sleep 0.5
ENV A=1
RUN rm /all
ENTRYPOINT ["true"]"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"{'what':40}{'labkit':>10}{'raw':>10}{'ratio':>8}{'more':>10}{'spread of ratios':>20}")
    with serve("docker-26.1") as machine:
        for builder in machine.engine.builders:
            for warmth in ("cold", "cached"):
                measure(machine, Lab(builder, machine.engine), warmth, rounds)
    for line in ("import labkit", "from labkit import Lab"):
        show(f"{line} / import docker", *imports(line, rounds))


def measure(machine, lab, warmth, rounds) -> None:
    raw = {"buildkit": raw_buildkit, "classic": raw_classic(machine.engine.host)}[lab.builder]
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        files = {f"files/{n}.txt": "text\n" * 1000 for n in range(50)}
        ours, theirs = [], []
        for _turn in range(rounds + 1):
            pair = (lambda f: lab.build(f, tag="ours"), raw)
            for call, times in zip(pair, (ours, theirs)):
                nonce = uuid.uuid4() if warmth == "cold" else "the same"
                write_recipe(Path(folder), machine.base, LINES.format(nonce=nonce), files)
                with contextlib.redirect_stdout(nowhere):
                    times.append(timed(call, folder))
        show(f"{lab.builder}, {warmth}", ours[1:], theirs[1:])  # The first turn warms up.


def raw_buildkit(folder) -> None:
    argv = ["docker", "buildx", "build", "--progress=plain", "-t", "raw", folder]
    subprocess.run(argv, check=True, capture_output=True)


def raw_classic(host):
    api = docker.APIClient(base_url=host)

    def build(folder):
        for event in api.build(path=folder, tag="raw", rm=True, decode=True):
            assert "error" not in event, event

    return build


def timed(call, *arguments) -> float:
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


def imports(line, rounds):
    def run(code):
        subprocess.run([sys.executable, "-c", code], check=True)

    pairs = [(timed(run, line), timed(run, "import docker")) for _ in range(rounds)]
    return [a for a, _b in pairs], [b for _a, b in pairs]


def show(what, ours, theirs) -> None:
    a, b = statistics.median(ours), statistics.median(theirs)
    ratios = sorted(x / y for x, y in zip(ours, theirs))
    spread = f"{ratios[0]:.2f} .. {ratios[-1]:.2f}"
    print(
        f"{what:40}{a:9.3f}s{b:9.3f}s{a / b:8.3f}{(a - b) * 1000:+8.1f}ms{spread:>20}", flush=True
    )


if __name__ == "__main__":
    main()
