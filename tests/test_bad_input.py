"""What a learner may get wrong: each has an error in three parts, and nothing is lost."""

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager

import pytest

from labkit import Lab, engine
from labkit.errors import (
    DockerfileError,
    EngineStopped,
    FolderError,
    LabkitError,
    NoEngine,
    TagError,
)
from tests.conftest import environ, missing, serve, with_docker_26, write_recipe
from tests.engines import machines


def three(caught):
    assert len(caught.value.parts()) == 3, str(caught.value)
    return caught.value


@pytest.fixture
def nothing_there(monkeypatch, tmp_path):
    """A machine on which no engine is to be found, wherever labkit looks."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "default_hosts", list)
    monkeypatch.setattr(engine, "_desktop", lambda: False)
    monkeypatch.setattr(engine.packages, "find", lambda program: None)
    return monkeypatch


def test_no_engine_at_all(nothing_there):
    with pytest.raises(NoEngine) as caught:
        engine.find(start=False)
    three(caught)


def test_an_installed_engine_that_does_not_run(nothing_there):
    nothing_there.setattr(engine.packages, "find", lambda program: f"/usr/sbin/{program}")
    with pytest.raises(EngineStopped) as caught:
        engine.find(start=False)
    assert "installed" in three(caught).what


def test_docker_desktop_that_is_not_started(nothing_there):
    nothing_there.setattr(engine, "_desktop", lambda: True)
    with pytest.raises(EngineStopped) as caught:
        engine.find(start=False)
    assert "Desktop" in three(caught).next_step


def test_an_address_where_nothing_listens(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineStopped) as caught:
        Lab()
    assert "DOCKER_HOST" in three(caught).tried


_AS_NOBODY = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from labkit import Lab
from labkit.errors import EngineClosed
try:
    Lab()
except EngineClosed as error:
    print(len(error.parts()), "usermod" in error.next_step)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to step down"
)
def test_a_socket_closed_to_this_user(tmp_path):
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0o600)
        variables = {**os.environ, "DOCKER_HOST": f"unix://{path}", "HOME": "/"}
        code = "import docker, dockerfile, labkit.lab\n" + _AS_NOBODY
        done = subprocess.run(
            [sys.executable, "-c", code], env=variables, capture_output=True, text=True
        )
    assert done.stdout.split() == ["3", "True"], done.stderr


def test_an_unreadable_context(monkeypatch, tmp_path):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(NoEngine) as caught:
        Lab()
    assert "nowhere" in three(caught).what


@with_docker_26
def test_missing_folder(lab, tmp_path):
    with pytest.raises(FolderError) as caught:
        lab.build(tmp_path / "nothing")
    three(caught)


@with_docker_26
def test_missing_dockerfile(lab, tmp_path):
    (tmp_path / "app.py").touch()
    with pytest.raises(FolderError) as caught:
        lab.build(tmp_path)
    assert "app.py" in three(caught).tried


@with_docker_26
def test_empty_folder(lab, tmp_path):
    with pytest.raises(FolderError) as caught:
        lab.build(tmp_path)
    assert "empty" in three(caught).tried


@with_docker_26
def test_unknown_instruction(lab, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM ubuntu:24.04\nRUNN true\n")
    with pytest.raises(DockerfileError) as caught:
        lab.build(tmp_path)
    error = three(caught)
    assert "Line 2" in error.what and "RUN" in error.next_step


@with_docker_26
@pytest.mark.parametrize("text", ["", "RUN true", "FROM", "FROM a\nRUN", "FROM a\nCOPY", "# only"])
def test_a_dockerfile_that_cannot_be_read(lab, tmp_path, text):
    (tmp_path / "Dockerfile").write_text(text)
    with pytest.raises(DockerfileError) as caught:
        lab.build(tmp_path)
    assert caught.value.what and caught.value.next_step


@with_docker_26
@pytest.mark.parametrize("tag", ["Web App", "UPPER", "a:b:c", "-x", "a/", "x:.y"])
def test_bad_tag(lab, machine, tmp_path, tag):
    with pytest.raises(TagError) as caught:
        lab.build(write_recipe(tmp_path, machine.base, "RUN true"), tag=tag)
    assert tag in three(caught).what


@with_docker_26
@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_missing_copy_source(lab, machine, tmp_path, builder):
    folder = write_recipe(tmp_path, machine.base, "COPY nothing.txt /")
    build = lab.build(folder, tag="missing", builder=builder)
    assert build.states() == ("CACHED", "FAILED")
    assert "nothing.txt" in build.problem.what and len(build.problem.parts()) == 3


@with_docker_26
@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_base_that_cannot_be_had(lab, tmp_path, builder):
    (tmp_path / "Dockerfile").write_text("FROM nowhere.invalid/none:1\nRUN true\n")
    build = lab.build(tmp_path, tag="baseless", builder=builder)
    assert build.states() == ("FAILED", "NOT_REACHED")
    assert "nowhere.invalid/none:1" in build.problem.what and len(build.problem.parts()) == 3


@with_docker_26
def test_a_builder_that_is_not_there(lab):
    with pytest.raises(LabkitError) as caught:
        lab.builder = "kaniko"
    three(caught)


@contextmanager
def small_disk():
    """An engine whose disk has 60 MB."""
    if reason := machines.why_not("docker-26.1"):
        missing(reason)
    folder = tempfile.mkdtemp(dir="/var/tmp")  # A short path: sockets lie in it.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder], check=True)
    try:
        with environ({"TMPDIR": folder}), serve("docker-26.1") as machine:
            yield machine
    finally:
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def test_a_full_disk(tmp_path):
    with small_disk() as machine:
        folder = write_recipe(tmp_path / "recipe", machine.base, "RUN cat /dev/zero > /big")
        for builder in machine.engine.builders:
            build = Lab(builder, machine.engine).build(folder, tag="full")
            assert build.states() == ("CACHED", "FAILED")
            assert "full" in build.problem.what and len(build.problem.parts()) == 3


def test_an_error_shows_no_traceback_in_a_notebook():
    error = LabkitError("what", "tried", "next")
    assert error._render_traceback_() == ["Failed: what", "Tried: tried", "Next: next"]
