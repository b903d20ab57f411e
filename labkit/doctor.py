"""What works on this machine and what does not: the table of `python -m labkit doctor`."""

import shutil
import sys
from pathlib import Path

from labkit import base, units, views, words
from labkit.engine import Engine, find
from labkit.errors import LabkitError
from labkit.request import UBUNTU
from labkit.words import _

_ENOUGH_BYTES = 3_000_000_000
"""What the base, the lessons' images and the cache take together, with room to spare."""


def examine() -> tuple[list[tuple[str, str, str]], list[LabkitError]]:
    """The rows (ok, what, finding) and what keeps a lesson from running."""
    rows = [
        ("✓", _("Python"), sys.version.split()[0]),
        ("✓", _("language"), words.language()),
    ]
    try:
        engine = find(start=False)
    except LabkitError as error:
        return [*rows, ("✗", _("engine"), error.what)], [error]
    problems = []
    rows += _engine_rows(engine)
    for check in (_base_row, _disk_row):
        row, problem = check(engine)
        rows.append(row)
        problems += [problem] if problem else []
    return rows, problems


def _engine_rows(engine: Engine):
    builders = ", ".join(engine.builders) + (f" (buildx {engine.buildx})" if engine.buildx else "")
    return [
        ("✓", _("engine"), f"{engine.name} {engine.version}"),
        ("✓", _("found by"), f"{engine.source}: {engine.host}"),
        ("✓", _("API"), engine.api),
        ("✓", _("builders"), builders),
        ("✓", _("image store"), engine.store),
    ]


def _base_row(engine):
    try:
        name = base.choose(engine, make=False)
    except LabkitError as error:
        return ("✗", _("base image"), error.what), error
    if name is None:
        missing = _(
            "not here yet: it is pulled or made by `python3 start.py`, or at the first build"
        )
        return ("–", _("base image"), missing), None
    stands_in = "" if name == UBUNTU else _(" (in place of {ubuntu})").format(ubuntu=UBUNTU)
    return ("✓", _("base image"), name + stands_in), None


def _disk_row(engine):
    """Free disk where the engine keeps its data; unknown for an engine elsewhere."""
    folder = Path(engine.client.info().get("DockerRootDir") or "/")
    try:
        free = shutil.disk_usage(folder).free if engine.host.startswith("unix:") else None
    except OSError:
        free = None
    if free is None:
        return ("–", _("free disk"), _("not known: the engine's data is on another machine")), None
    if free >= _ENOUGH_BYTES:
        return ("✓", _("free disk"), units.size(free)), None
    problem = LabkitError(
        _("The disk of the engine has only {free} left.").format(free=units.size(free)),
        _("{folder}; the lessons need {need}.").format(
            folder=folder, need=units.size(_ENOUGH_BYTES)
        ),
        _("Free some room: `docker system df` shows what takes it."),
    )
    return ("✗", _("free disk"), units.size(free)), problem


def report(out=sys.stdout) -> int:
    """Print the table and what to do; 0 where lessons can run, else 1."""
    rows, problems = examine()
    print(views.text_table(rows), file=out)
    for problem in problems:
        print(f"\n{problem}", file=out)
    return 1 if problems else 0
