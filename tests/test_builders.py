"""Both builders of one engine side by side; long logs; a build that is stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from labkit.errors import Interrupted
from tests.conftest import with_docker_26, write_recipe

pytestmark = with_docker_26
BUILDERS = ("buildkit", "classic")


def shape(build):
    """What must be equal: instructions, states, and the layers with their sizes."""
    steps = [(s.instruction, s.state, s.exit_code) for s in build.steps]
    return steps, [(x.instruction, x.has_layer, x.size_bytes) for x in build.layers]


@pytest.mark.parametrize(
    "lines",
    [
        'RUN echo {n} > /a\nCOPY f /f\nENV A=1\nUSER nobody\nCMD ["true"]',
        "WORKDIR /app/deep\nCOPY --chown=65534:65534 . .\nRUN echo {n} > here",
        "ARG N=1\nENV M=$N\nRUN echo {n} $M > /m\nLABEL a=b c=d\nEXPOSE 80\nVOLUME /data\nSTOPSIGNAL 9",
        "RUN echo {n}; exit 3\nCOPY f /f",
        'RUN echo {n} > /x\nSHELL ["/bin/sh", "-ec"]\nRUN rm /x\nHEALTHCHECK NONE\nADD f /g/',
    ],
)
def test_equal_input_gives_equal_builds(lab, machine, tmp_path, lines):
    folder = write_recipe(tmp_path, machine.base, lines.format(n=uuid.uuid4()), {"f": "text"})
    for _turn in range(2):
        first, second = (lab.build(folder, tag="equal", builder=b) for b in BUILDERS)
        assert shape(first) == shape(second)
        assert str(first) == str(second)


_NOISY = """
import resource, sys
from labkit import Lab
lab = Lab(sys.argv[2])
lab.build(sys.argv[1], tag="noisy-before", dockerfile="Quiet", show=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
build = lab.build(sys.argv[1], tag="noisy", no_cache=True, show=False)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
step = build.steps[1]
print(after - before, step.dropped_bytes + len(step.log), step.log.split()[-1], build.ok)
"""


@pytest.mark.parametrize("builder", BUILDERS)
def test_200_mb_of_log_cost_less_than_50_mb(lab, machine, tmp_path, builder):
    lines = "RUN yes a-line-of-the-log | head -c 200000000; echo; echo the-end"
    folder = write_recipe(tmp_path, machine.base, lines)
    (folder / "Quiet").write_text(f"FROM {machine.base}\nRUN echo quiet\n")
    done = subprocess.run(
        [sys.executable, "-c", _NOISY, str(folder), builder],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    grown_kib, log_bytes, last, ok = done.stdout.split()
    assert int(grown_kib) < 50_000
    assert int(log_bytes) > 199_000_000
    assert (last, ok) == ("the-end", "True")


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_interrupt_stops_the_real_build(lab, machine, tmp_path, builder):
    nap = f"{60 + os.getpid() / 1e7:.7f}"
    folder = write_recipe(tmp_path, machine.base, f"RUN echo {uuid.uuid4()}\nRUN sleep {nap}")

    def stop_when_it_sleeps():
        if wait_until(lambda: processes(f"sleep {nap}"), 30):
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop_when_it_sleeps, daemon=True).start()
    with pytest.raises(Interrupted) as caught:
        lab.build(folder, tag="stopped", builder=builder)
    assert len(caught.value.parts()) == 3
    assert wait_until(lambda: not processes(f"sleep {nap}"), 15)
    assert lab.engine.client.images.list("stopped") == []


def processes(command):
    """The processes with just this command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        found += [folder.name] if b" ".join(words).decode(errors="replace") == command else []
    return found


def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False
