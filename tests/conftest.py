"""Real engines for the tests: the four of tests/engines where this machine can have them, else
the one that labkit finds. In CI a missing engine is a failure, elsewhere a skip that says why."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit import Lab
from labkit.engine import Engine, connect, find
from labkit.errors import LabkitError
from tests.engines import base, machines

IN_CI = os.environ.get("CI") == "true"


def missing(reason: str):
    """Skip the test, or fail it in CI."""
    (pytest.fail if IN_CI else pytest.skip)(reason)


@dataclass(frozen=True)
class Machine:
    """An engine under test, and the tiny base image that is in it."""

    name: str
    engine: Engine
    base: str
    path: str = ""


@pytest.fixture(scope="session", params=machines.NAMES)
def machine(request):
    """One engine after the other; environment and network are the engine's while it runs."""
    yield from serve(request.param)


@pytest.fixture(scope="session")
def docker26():
    """The engine that has both builders."""
    yield from serve("docker-26.1")


def serve(name, **extra):
    reason = machines.why_not(name)
    if reason:
        missing(f"{name}: {reason}")
    with machines.running(name) as own, machines.inside(own), _environ(own.environ | extra):
        engine = connect(own.host, name)
        yield Machine(name, engine, base.tiny_base(engine.client), own.path)


@pytest.fixture(scope="session")
def found():
    """The engine that labkit finds on this machine."""
    try:
        return find(start=False)
    except LabkitError as error:
        missing(str(error))


class _environ:
    """Variables set for a while; the old values come back."""

    def __init__(self, values):
        self._values, self._old = values, {}

    def __enter__(self):
        self._old = {name: os.environ.get(name) for name in self._values}
        os.environ.update(self._values)

    def __exit__(self, *_error):
        for name, value in self._old.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture(autouse=True)
def english(monkeypatch):
    """labkit speaks English in tests, unless a test says otherwise."""
    monkeypatch.setenv("LABKIT_LANG", "en")


@pytest.fixture
def lab(machine):
    """A Lab on the engine under test; what labkit made is removed after the test."""
    lab = Lab(engine=machine.engine)
    yield lab
    lab.clean()


@pytest.fixture
def recipe(tmp_path, machine):
    """A folder with a Dockerfile; `recipe("RUN true", {"a.txt": "a"})` writes it."""

    def write(lines: str, files: dict | None = None) -> Path:
        return write_recipe(tmp_path / "recipe", machine.base, lines, files)

    return write


def write_recipe(folder: Path, base_image: str, lines: str, files: dict | None = None) -> Path:
    """A build context whose Dockerfile is FROM the base, with these lines below it."""
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(f"FROM {base_image}\n{lines}\n")
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
