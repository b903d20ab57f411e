"""What of this machine goes into a base: certificates, mirrors, proxies; and nothing by default."""

import pytest

from labkit import base, host
from labkit.host import Extras
from tests.conftest import with_docker_26

PEM = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"


@pytest.fixture
def plain(monkeypatch, tmp_path):
    """A machine with nothing of its own."""
    for name in (*host._BUNDLE_VARIABLES, *host._PIP.values(), "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(host, "_CERTIFICATES", (tmp_path / "certificates",))
    monkeypatch.setattr(host, "_BUNDLES", (tmp_path / "bundle.crt",))
    monkeypatch.setattr(host, "_pip_files", lambda: [tmp_path / "pip.conf"])
    monkeypatch.setattr(host, "_apt", str)
    (tmp_path / "bundle.crt").write_text("the system's own\n")
    return monkeypatch


def test_nothing_is_taken_where_nothing_is_set(plain):
    assert not host.extras()


def test_the_systems_bundle_named_by_a_variable_is_nothing_of_its_own(plain, tmp_path):
    plain.setenv("PIP_CERT", str(tmp_path / "bundle.crt"))
    assert not host.extras()


def test_extra_certificates_come_with_the_bundle_that_trusts_them(plain, tmp_path):
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates/proxy.crt").write_text(PEM)
    assert host.extras() == Extras((PEM,), "the system's own\n")


def test_a_bundle_of_ones_own_is_taken_whole(plain, tmp_path):
    (tmp_path / "own.pem").write_text(PEM)
    plain.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    assert host.extras().bundle == PEM


def test_mirrors_of_pip_are_taken_unless_they_are_on_this_machine(plain, tmp_path):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://mirror.example/simple\ntrusted-host = mirror.example\n"
    )
    assert dict(host.extras().pip) == {
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_TRUSTED_HOST": "mirror.example",
    }
    plain.setenv("PIP_INDEX_URL", "http://localhost:3141/simple")
    assert dict(host.extras().pip) == {"PIP_TRUSTED_HOST": "mirror.example"}


def test_another_set_of_extras_has_another_digest():
    assert Extras((PEM,)).digest() != Extras(apt="x").digest() == Extras(apt="x").digest()


@with_docker_26
def test_a_class_base_trusts_and_uses_what_the_host_does(lab, machine, recipe):
    extras = Extras((PEM,), "all of them\n", (("PIP_INDEX_URL", "https://mirror.example"),), "x;")
    name = base._derived(machine.engine, machine.base, extras, print, make=True)
    assert name == "labkit/base:labkit-test-tiny-1-class"
    folder = recipe(
        "RUN cat /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/labkit-0.crt"
        " /etc/apt/apt.conf.d/99labkit && echo $PIP_CERT $PIP_INDEX_URL"
    )
    (folder / "Dockerfile").write_text(
        (folder / "Dockerfile").read_text().replace(machine.base, name)
    )
    log = lab.build(folder, tag="contract-class", no_cache=True).steps[1].log
    assert log.split("\n")[0] == "all of them" and "BEGIN CERTIFICATE" in log and "x;" in log
    assert "/etc/ssl/certs/ca-certificates.crt https://mirror.example" in log
    told = []
    assert base._derived(machine.engine, machine.base, extras, told.append, make=True) == name
    assert told == []  # It is not made twice.
    machine.engine.client.images.remove(name)


@with_docker_26
def test_no_class_base_is_made_where_nothing_is_needed(machine):
    assert base._derived(machine.engine, machine.base, Extras(), print, make=True) == machine.base


@with_docker_26
def test_labkit_base_overrides(machine, monkeypatch):
    monkeypatch.setenv("LABKIT_BASE", machine.base)
    assert base.choose(machine.engine) == machine.base


def test_third_parties_archives_are_left_out(monkeypatch, tmp_path):
    ours = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates"
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/a.sources").write_text(
        f"{ours}\n\nTypes: deb\nURIs: http://x\nSuites: stable\n"
    )
    monkeypatch.setattr(host, "_APT", tmp_path)
    assert host.archives("bookworm") == f"{ours}\n"
