"""pyproject.toml holds the dependencies: the lock and environment.yml agree with it."""

from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings tomli
    import tomli as tomllib

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
DIRECT = [
    Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
]
CONDA_NAMES = {"docker": "docker-py"}
NOT_ON_CONDA = {"dockerfile"}


def locked():
    lines = (TOP / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in " #"]


def conda():
    """The names in environment.yml and their bounds: conda's own, and those that pip installs."""
    everything = yaml.safe_load((TOP / "environment.yml").read_text())["dependencies"]
    from_pip = [line for part in everything if isinstance(part, dict) for line in part["pip"]]
    own = [Requirement(line) for line in everything if isinstance(line, str)]
    return own, [Requirement(line) for line in from_pip if not line.startswith("-")]


@pytest.mark.parametrize("direct", DIRECT, ids=str)
def test_lock_holds_a_pin_that_satisfies_the_bound(direct):
    pins = [pin for pin in locked() if pin.name == direct.name]
    assert pins
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert exact.version in direct.specifier


def test_everything_in_the_lock_is_pinned():
    assert [str(pin) for pin in locked() if [s.operator for s in pin.specifier] != ["=="]] == []


def test_lock_says_how_it_is_made():
    head = (TOP / "requirements.txt").read_text().splitlines()[:2]
    assert "uv pip compile --universal --python-version 3.10 --extra test" in head[1]


def test_lock_names_no_place_of_a_machine():
    text = (TOP / "requirements.txt").read_text()
    assert [word for word in ("://", "file:", "--index-url", "/home/") if word in text] == []


@pytest.mark.parametrize("direct", DIRECT, ids=str)
def test_every_bound_has_a_lower_end(direct):
    assert [bound.operator for bound in direct.specifier] == [">="]


def test_environment_has_the_same_dependencies():
    own, from_pip = conda()
    expected = {
        (CONDA_NAMES.get(one.name, one.name), one.specifier)
        for one in DIRECT
        if one.name not in NOT_ON_CONDA
    }
    assert {
        (one.name, one.specifier) for one in own if one.name not in ("python", "pip")
    } == expected


def test_environment_takes_the_rest_from_pip():
    _own, from_pip = conda()
    assert [str(one) for one in from_pip] == [str(d) for d in DIRECT if d.name in NOT_ON_CONDA]


def test_environment_has_the_same_python():
    own, _from_pip = conda()
    (python,) = [one for one in own if one.name == "python"]
    assert str(python.specifier) == PROJECT["requires-python"]
