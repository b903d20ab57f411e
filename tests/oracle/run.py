"""The cache's oracle: predict, build for real, compare; and count which rule decided.

    python -m tests.oracle.run --edits 1000 docker-26.1/buildkit docker-20.10/classic

prints a table of the rules and of what was wrong, with the Dockerfiles of what was wrong.
"""

import argparse
import io
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed

from labkit import Lab, cache, cold, trials
from labkit.errors import LabkitError
from labkit.experiments import right
from labkit.reasons import Rule
from labkit.request import prepare
from labkit.snapshot import Snapshots
from labkit.sources import SOURCES
from tests.oracle.worlds import World, scenarios

PLACES = (
    "docker-26.1/buildkit",
    "docker-26.1-containerd/buildkit",
    "docker-20.10/classic",
    "docker-26.1/classic",
)


@dataclass
class Tally:
    """What came of the edits: `rules` counts (rule, ) of every step compared."""

    edits: int = 0
    steps: int = 0
    rules: Counter = field(default_factory=Counter)
    unknown: Counter = field(default_factory=Counter)
    notes: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)

    def take(self, prediction, build, story) -> list[str]:
        """Compare a prediction with the build; the lines of what was wrong."""
        lines = []
        verdicts = zip(prediction.steps, build.steps, right(prediction, build))
        for verdict, step, agrees in verdicts:
            if verdict.state is None:
                self.unknown[verdict.reason.rule] += 1
            if agrees is None:
                continue
            self.steps += 1
            self.rules[verdict.reason.rule] += 1
            if not agrees:
                lines.append(f"{verdict.instruction.raw!r}: {verdict.state}, was {step.state}")
        self.notes.update(note.rule for note in prediction.unheeded)
        shown = cache.told(prediction, build.steps)
        self.notes.update(r.rule for r in shown if r.rule in (Rule.BYTES_SAME, Rule.BYTES_OTHER))
        self.edits += 1
        if lines:
            self.wrong.append("\n".join([*story, *lines]))
        return lines


class Oracle:
    """Plays scenarios on one engine with one builder."""

    def __init__(self, engine, builder: str, base: str):
        self.lab, self.builder, self.base = Lab(builder, engine), builder, base
        self.tally = Tally()

    def play(self, worlds: tuple[World, ...]) -> None:
        """Build one world after the other; AssertionError where a prediction was wrong."""
        engine, bases = self.lab.engine, []
        try:
            bases += [cold.derive(engine, self.base) for _n in range(2)]
            with tempfile.TemporaryDirectory() as folder:
                self._play(worlds, Path(folder), bases)
        finally:
            for name in bases:
                cold.remove(engine, name)

    def _play(self, worlds, folder, bases):
        memory, snapshots, story = cache.Memory(shares_scratch=True), Snapshots(), []
        for number, world in enumerate(worlds):
            write(world, folder, bases)
            request = prepare(self.builder, folder, lambda _names: {}, **_options(world))
            recipe = trials.recipe(self.lab.engine, self.builder, request, snapshots)
            foreseen = memory.predict(recipe)
            build = self.lab.build(folder, tag="oracle", show=False, **_options(world))
            story.append(_tell(number, world, bases, foreseen, build))
            lines = self.tally.take(foreseen, build, story)
            assert not lines, "\n".join(lines)
            memory = memory.after(recipe, build.outcomes())


def _options(world):
    return {"target": world.target, "build_args": world.build_args, "no_cache": world.no_cache}


def write(world: World, folder: Path, bases) -> None:
    """Bring the folder to the state of the world; what is the same is left alone."""
    wanted = dict(world.files) | {"Dockerfile": (world.text(bases), 0o644, "file")}
    if world.ignore:
        wanted[".dockerignore"] = ("\n".join(world.ignore) + "\n", 0o644, "file")
    for path in sorted(folder.rglob("*"), reverse=True):
        name = str(path.relative_to(folder))
        if name not in wanted and not any(other.startswith(name + "/") for other in wanted):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, (text, mode, kind) in wanted.items():
        _put(folder / name, text, mode, kind)
    if (folder / "d").stat().st_mode & 0o777 != world.folder_mode:
        (folder / "d").chmod(world.folder_mode)
    for name in world.touched:
        os.utime(folder / name, follow_symlinks=False)


def _put(path, text, mode, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        if not path.is_symlink() or os.readlink(path) != text:
            path.unlink(missing_ok=True)
            path.symlink_to(text)
        return
    data = _tar(text) if kind == "tar" else text.encode()
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)


def _tar(text):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        info = tarfile.TarInfo("inner.txt")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


def _tell(number, world, bases, foreseen, build):
    lines = [f"--- {number} {world.what} args={world.build_args} target={world.target}"]
    lines += [f"    no_cache={world.no_cache} ignore={world.ignore} files={world.files}"]
    for verdict, step in zip(foreseen.steps, build.steps):
        state = verdict.state.value if verdict.state else "?"
        lines.append(
            f"{state:12}{step.state.value:12}{verdict.instruction.raw!r}  ({verdict.reason.rule.value})"
        )
    if build.problem:
        lines.append(build.problem.what)
    return "\n".join(lines)


def explore(oracle: Oracle, edits: int, seed: int | None = None, per_scenario: int = 8) -> Tally:
    """Play scenarios until so many edits were compared; a wrong one does not stop it."""

    @settings(
        max_examples=-(-edits // (per_scenario + 1)),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scenarios(oracle.builder, per_scenario))
    def play(worlds):
        try:
            oracle.play(worlds)
        except AssertionError:
            pass
        except LabkitError as error:
            oracle.tally.wrong.append(f"an error: {error}")

    (with_seed(seed)(play) if seed is not None else play)()
    return oracle.tally


def table(tallies: dict[str, Tally]) -> str:
    """Each rule, and how often it decided a step, by place."""
    from labkit.views import text_table

    rows = [("rule", *tallies)]
    for rule in Rule:
        if any(rule in known for known in SOURCES.values()):
            rows.append((rule.value, *(_count(rule, p, t) for p, t in tallies.items())))
    for name in ("edits", "steps"):
        rows.append((name, *(getattr(t, name) for t in tallies.values())))
    rows.append(("not predicted", *(sum(t.unknown.values()) for t in tallies.values())))
    rows.append(("wrong edits", *(len(t.wrong) for t in tallies.values())))
    return text_table(rows)


def _count(rule, place, tally):
    """How often the rule decided; a line where the builder has no such rule."""
    known = rule in SOURCES[place.split("/")[1]]
    return tally.rules[rule] + tally.unknown[rule] + tally.notes[rule] if known else "-"


def main() -> int:
    from tests.conftest import serve

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--show", type=int, default=3, help="so many of the wrong ones whole")
    parser.add_argument("places", nargs="*", default=PLACES)
    given_ = parser.parse_args()
    tallies = {}
    for place in given_.places:
        machine, builder = place.split("/")
        began = time.monotonic()
        with serve(machine) as served:
            oracle = Oracle(served.engine, builder, served.base)
            tallies[place] = explore(oracle, given_.edits, given_.seed)
        print(f"{place}: {time.monotonic() - began:.0f} s", flush=True)
        for story in tallies[place].wrong[: given_.show]:
            print(story, end="\n\n")
    print(table(tallies))
    return 1 if any(t.wrong for t in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
