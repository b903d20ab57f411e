"""How fast the cache is foreseen, and how fast a build context is hashed, beside `sha256sum`.

    python -m tests.benchmarks.cache [--rounds 15]

1. `cache.predict` on a Dockerfile of 100 steps and a context of 1,000 files that are hashed.
2. A first snapshot of 1,000 files, and of one large file, against `sha256sum` on the same files,
   by turns; a second snapshot after one file has changed.
"""

import argparse
import functools
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from labkit import cache, dockerfile
from labkit.recipes import Base, Recipe
from labkit.request import prepare
from labkit.snapshot import Snapshots, digest

STEPS, FILES = 100, 1000


def lines() -> str:
    """100 steps: commands, copies of folders and of the whole context, variables."""
    kinds = ("RUN echo {n}", "COPY f{k} /f{n}", "ENV V{n}={n}", "COPY . /all{n}", "WORKDIR /w{n}")
    steps = [kinds[n % len(kinds)].format(n=n, k=n % 10) for n in range(STEPS - 1)]
    return "\n".join(["FROM base", *steps]) + "\n"


def fill(folder: Path, size_bytes: int) -> None:
    """1,000 files in ten folders."""
    for number in range(FILES):
        file = folder / f"f{number % 10}" / f"{number}.bin"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(os.urandom(size_bytes))
    (folder / "Dockerfile").write_text(lines())


def seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(times) -> str:
    return f"{statistics.median(times) * 1000:.1f} ms ({min(times) * 1000:.1f}-{max(times) * 1000:.1f})"


def predicting(folder: Path, rounds: int) -> None:
    """The second recipe is read from disk anew each time, so nothing of it is remembered."""
    snapshots = Snapshots()
    for builder in ("buildkit", "classic"):
        times = []
        for _round in range(rounds):
            before = recipe(folder, builder, snapshots)
            (folder / "f3" / "3.bin").write_bytes(os.urandom(100))
            after = recipe(folder, builder, snapshots)
            times.append(seconds(functools.partial(cache.predict, before, after)))
        print(f"predict, {builder}: {STEPS} steps, {FILES} files: {median(times)}")


def recipe(folder, builder, snapshots):
    request = prepare(builder, folder, lambda _names: {})
    base = {"base": Base("base", "base")}
    return Recipe(
        dockerfile.parse(request.text),
        snapshots.take(builder, request),
        bases=base,
        builder=builder,
    )


def hashing(folder: Path, rounds: int, what: str) -> None:
    """By turns, so that all see the same machine; the files are in memory for all."""
    files = [str(p) for p in sorted(folder.rglob("*")) if p.is_file()]
    total = sum(os.path.getsize(f) for f in files)
    request = prepare("buildkit", folder, lambda _names: {})
    works = {
        "sha256sum": lambda: subprocess.run(["sha256sum", *files], stdout=subprocess.DEVNULL),
        "digest of each file": lambda: [digest(f) for f in files],
        "snapshot, with its walk": lambda: Snapshots().take("buildkit", request),
    }
    times = {name: [] for name in works}
    for _round in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    print(f"hash {what}, {total / 1e6:.0f} MB")
    for name, own in times.items():
        ratio = statistics.median(times["sha256sum"]) / statistics.median(own)
        print(f"    {name:24} {median(own):32} {ratio:.2f} x the speed of sha256sum")


def second(folder: Path) -> None:
    snapshots = Snapshots()
    request = prepare("buildkit", folder, lambda _names: {})
    first = seconds(lambda: snapshots.take("buildkit", request))
    (folder / "f5" / "5.bin").write_bytes(b"changed")
    before = snapshots.hashed
    again = seconds(lambda: snapshots.take("buildkit", request))
    print(
        f"second snapshot: {snapshots.hashed - before} file hashed, {again / first:.2f} x the first"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for size_bytes, what in ((2_000, "1,000 small files"), (100_000, "1,000 files of 100 kB")):
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), size_bytes)
            if size_bytes == 2_000:
                predicting(Path(folder), rounds)
            hashing(Path(folder), rounds, what)
            second(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "big").write_bytes(os.urandom(1 << 20) * 300)
        Path(folder, "Dockerfile").write_text("FROM base\n")
        hashing(Path(folder), max(3, rounds // 3), "one file")


if __name__ == "__main__":
    main()
