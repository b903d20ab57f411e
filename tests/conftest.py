"""Real engines for the tests: the four of tests/engines where this machine can have them, else
the one that labkit finds. In CI a missing engine is a failure, elsewhere a skip that says why."""

import os
from contextlib import contextmanager
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


@pytest.fixture(scope="session", params=machines.NAMES)
def machine(request):
    """One engine after the other; environment and network are the engine's while it runs."""
    with serve(request.param) as machine:
        yield machine


# For tests of one engine that has both builders. One fixture for all: there is one environment and
# one network, so one engine at a time.
with_docker_26 = pytest.mark.parametrize("machine", ["docker-26.1"], indirect=True)


@contextmanager
def serve(name):
    """Start an engine and enter its environment and network; the tiny base is in it."""
    reason = machines.why_not(name)
    if reason:
        missing(f"{name}: {reason}")
    with machines.running(name) as own, machines.inside(own), environ(own.environ):
        engine = connect(own.host, name)
        yield Machine(name, engine, base.tiny_base(engine.client))


def found() -> Engine:
    """The engine that labkit finds on this machine."""
    try:
        return find(start=False)
    except LabkitError as error:
        missing(str(error))


@contextmanager
def environ(values):
    """Variables set for a while; the old values come back."""
    old = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(old)


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
