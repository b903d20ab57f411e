"""start.py: its pure parts, and that it needs nothing but the standard library."""

import ast
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labkit import host, packages, private
from labkit.errors import LabkitError
from labkit.terminal import Steps, run_logged

TOP = Path(__file__).parents[1]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start.py as a module of which the virtual environment is in a temporary folder."""
    spec = importlib.util.spec_from_file_location("start", TOP / "start.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec.loader.exec_module(module)
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv/labkit.json")
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.txt")
    module.LOCK.write_text("docker==7.1.0\n")
    return module


def make_venv(start):
    """What start.py takes for a finished virtual environment."""
    site = start.VENV / "lib/python3.12/site-packages"
    site.mkdir(parents=True)
    start.PYTHON.parent.mkdir()
    start.PYTHON.symlink_to(sys.executable)
    return site


def imports(file):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(file, seen):
    """Every module that the file imports, directly or by another file of labkit."""
    for name in imports(file):
        parts = name.split(".")
        own = TOP / "labkit" / f"{parts[1] if len(parts) > 1 else '__init__'}.py"
        if parts[0] != "labkit":
            seen.add(parts[0])
        elif own not in seen:
            seen.add(own)
            reached(own, seen)
    return seen


def test_only_the_standard_library_is_imported():
    names = {name for name in reached(TOP / "start.py", set()) if isinstance(name, str)}
    assert names - sys.stdlib_module_names == set()


def test_help_under_a_plain_python(tmp_path):
    command = [sys.executable, "-I", "-S", TOP / "start.py", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--no-browser" in done.stdout


def test_what_pytest_is_given(start):
    assert start.parse(["test", "-x", "tests/test_start.py"]).rest == ["-x", "tests/test_start.py"]
    assert start.parse(["--lang", "ru"]).lang == "ru"


def test_an_unknown_option_is_refused(start, capsys):
    with pytest.raises(SystemExit):
        start.parse(["--brwser"])
    assert "--brwser" in capsys.readouterr().err


def test_the_stamp_is_for_one_lock_and_one_python(start):
    site = make_venv(start)
    assert not start.ready()
    start.finish_venv()
    assert start.ready()
    start.LOCK.write_text("docker==7.2.0\n")
    assert not start.ready()
    start.finish_venv()
    start.PYTHON.unlink()
    start.PYTHON.symlink_to("/bin/true")
    assert not start.ready()
    start.PYTHON.unlink()
    assert not start.ready()
    assert (site / "labkit-lessons.pth").exists()


def test_labkit_is_found_by_the_path_file(start):
    site = make_venv(start)
    start.finish_venv()
    line = (site / "labkit-lessons.pth").read_text().strip()
    assert not os.path.isabs(line)  # so that the clone may be moved
    assert (site / line).resolve() == TOP


def test_a_stamp_that_was_cut_off_counts_as_none(start):
    make_venv(start)
    start.STAMP.write_text('{"requirements": ')
    assert not start.ready()


def test_a_package_that_was_cut_off_is_forgotten(start):
    site = make_venv(start)
    for name, file in [("whole", "RECORD"), ("half", "METADATA")]:
        (site / f"{name}-1.dist-info").mkdir()
        (site / f"{name}-1.dist-info" / file).touch()
    start.drop_half_installed()
    assert [folder.name for folder in site.glob("*.dist-info")] == ["whole-1.dist-info"]


def test_pip_trusts_what_the_host_trusts(start, monkeypatch):
    private.home().mkdir()
    monkeypatch.delenv("PIP_CERT", raising=False)
    monkeypatch.setattr(host, "extras", lambda: host.Extras(bundle="PEM"))
    assert Path(start.trusting()["PIP_CERT"]).read_text() == "PEM"
    monkeypatch.setenv("PIP_CERT", "/own.pem")
    assert start.trusting()["PIP_CERT"] == "/own.pem"


def test_pip_is_told_nothing_where_nothing_is_needed(start, monkeypatch):
    monkeypatch.delenv("PIP_CERT", raising=False)
    monkeypatch.setattr(host, "extras", lambda: host.Extras())
    assert start.trusting() == dict(os.environ)


def test_without_root_the_missing_package_is_named(start, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages, "may_install", lambda: False)
    with pytest.raises(LabkitError) as caught:
        start.need_ensurepip(Steps(io.StringIO()))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"apt-get install -y python{version}-venv" in caught.value.next_step


def test_jupyterlab_gets_the_engine_and_the_environment(start, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    monkeypatch.setattr(os, "chdir", calls.append)
    start.become([start.PYTHON, "-m", "x"], "unix:///there.sock")
    _folder, (program, words, values) = calls
    assert (program, words[1:]) == (str(start.PYTHON), ["-m", "x"])
    assert values["DOCKER_HOST"] == "unix:///there.sock"
    assert values["PATH"].startswith(str(start.PYTHON.parent) + os.pathsep)


def test_in_ci_no_engine_is_a_failure(start, monkeypatch, capsys):
    monkeypatch.setattr(start, "set_up", lambda steps: False)
    monkeypatch.setattr(start, "engine_host", lambda steps: None)
    monkeypatch.setattr(start, "become", lambda command, address: 0)
    monkeypatch.setenv("CI", "true")
    assert start.main(["test"]) == 1
    monkeypatch.setenv("CI", "")
    assert start.main(["test"]) == 0


def test_doctor_changes_nothing(start, capsys):
    assert start.main(["doctor"]) == 1
    assert "python3 start.py" in capsys.readouterr().err
    assert not start.VENV.exists()


@pytest.mark.parametrize(
    "script, expected",
    [
        ("""echo a word; echo '{"docker_host": "unix:///a"}'""", "unix:///a"),
        ("echo Failed: no engine >&2; exit 1", None),
        ("echo no JSON", None),
    ],
)
def test_where_the_engine_is_comes_from_the_last_line(start, script, expected):
    start.PYTHON.parent.mkdir(parents=True)
    start.PYTHON.write_text(f"#!/bin/sh\n{script}\n")
    start.PYTHON.chmod(0o755)
    out = io.StringIO()
    assert start.engine_host(Steps(out)) == expected
    assert ("Failed: no engine" in out.getvalue()) == ("Failed" in script)


def test_steps_outside_a_terminal_are_two_lines():
    out = io.StringIO()
    with Steps(out).step("baking"):
        pass
    assert out.getvalue() == "     ...  baking\n   0.0 s  baking\n"


def test_a_step_that_fails_says_so():
    out = io.StringIO()
    with pytest.raises(ValueError), Steps(out).step("baking"):
        raise ValueError
    assert "s  baking" not in out.getvalue()


def test_a_program_that_fails_shows_the_end_of_its_log(tmp_path):
    script = "for i in $(seq 100); do echo line $i; done; exit 3"
    with pytest.raises(LabkitError) as caught:
        run_logged(["sh", "-c", script], tmp_path / "log")
    assert caught.value.stderr.splitlines()[-1] == "line 100"
    assert len(caught.value.stderr.splitlines()) == 20
