"""The doctor: a table, and exit code 1 with what to do where a lesson could not run."""

import io

from labkit import doctor
from tests.conftest import with_docker_26


@with_docker_26
def test_a_healthy_machine(machine, monkeypatch):
    monkeypatch.setenv("LABKIT_BASE", machine.base)
    out = io.StringIO()
    assert doctor.report(out) == 0
    text = out.getvalue()
    for word in ("engine", "Docker 26.1", "API", "buildkit, classic", "image store", "free disk"):
        assert word in text
    assert f"{machine.base} (in place of ubuntu:24.04)" in text


@with_docker_26
def test_a_base_that_cannot_be_had(machine, monkeypatch):
    monkeypatch.setenv("LABKIT_BASE", "nowhere.invalid/none:1")
    out = io.StringIO()
    assert doctor.report(out) == 1
    assert "Next: Name an image" in out.getvalue()


def test_no_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    out = io.StringIO()
    assert doctor.report(out) == 1
    assert "✗" in out.getvalue() and "Next: " in out.getvalue()
