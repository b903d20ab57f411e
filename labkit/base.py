"""The base image behind `FROM ubuntu:24.04`: itself, or what honestly stands in for it.

1. LABKIT_BASE, where it is set.
2. ubuntu:24.04, where it is present or a registry answers.
3. `labkit/base:<distribution>-<version>`, made from the packages of the host's distribution.

Where the host trusts extra certificates or uses mirrors, one more image is derived that does so
too; it carries the name of its base and `-class`.
"""

import os
import shutil
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import docker

from labkit import host, packages
from labkit.context import add_text
from labkit.engine import FAULTS, Engine
from labkit.errors import BaseError
from labkit.request import UBUNTU
from labkit.words import _

LABEL = "labkit.base"
_STALL_SECONDS = 20  # A registry that is silent for so long is as good as none.

# What the official images set, so that a layer of packages is as large here as there
# (https://github.com/debuerreotype/debuerreotype, scripts/debuerreotype-minimizing-config).
_APT = """Acquire::Languages "none";
Acquire::GzipIndexes "true";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Keep-Downloaded-Packages "false";
"""
_DPKG = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)


def choose(engine: Engine, say=lambda text: None, make: bool = True) -> str | None:
    """The name of the image to build on where a lesson says `FROM ubuntu:24.04`.

    `say` hears what takes long. With `make` false nothing is pulled or made, and None means
    that something would have to be. Raises BaseError where no base can be had.
    """
    if named := os.environ.get("LABKIT_BASE"):
        return _named(engine, named, say)
    plain = present(engine, UBUNTU) or present(engine, standin_name())
    if not plain and not make:
        return None
    plain = plain or pull(engine, UBUNTU, say) or _make(engine, standin_name(), say)
    return _derived(engine, plain, host.extras(), say, make)


def standin_name() -> str:
    """The name of the stand-in that this host can make, such as "labkit/base:debian-12"."""
    release = host.release()
    name, version = release.get("ID", "linux"), release.get("VERSION_ID")
    return f"labkit/base:{name}-{version or release.get('VERSION_CODENAME', 'unknown')}"


def present(engine: Engine, name: str) -> str | None:
    """The name, where the engine has an image of this name; else None."""
    try:
        engine.client.api.inspect_image(name)
        return name
    except docker.errors.ImageNotFound:
        return None
    except FAULTS as error:
        raise BaseError(
            _("The engine does not tell about its images."),
            str(error),
            _("`python3 start.py doctor` checks the engine."),
        ) from error


def _named(engine, name, say):
    if present(engine, name) or pull(engine, name, say):
        return name
    raise BaseError(
        _("The base image {image} cannot be had.").format(image=name),
        _("LABKIT_BASE names it; it is not in the engine and no registry gave it."),
        _("Name an image that `docker images` shows, or unset LABKIT_BASE."),
    )


def pull(engine: Engine, name: str, say=lambda text: None) -> str | None:
    """Pull the image; its name, or None where no registry gives it in time."""
    say(_("Pulling {image} …").format(image=name))
    api = docker.APIClient(base_url=engine.host, version=engine.api, timeout=_STALL_SECONDS)
    try:
        repository, _colon, tag = name.rpartition(":")
        for event in api.pull(repository or name, tag=tag or "latest", stream=True, decode=True):
            if "error" in event:
                return None
        return present(engine, name)
    except FAULTS:
        return None
    finally:
        api.close()


def _make(engine, name, say):
    """Make the stand-in from the packages of the host's distribution."""
    release = host.release()
    say(
        _(
            "No registry gave {ubuntu}. Making {image} from this system's own packages "
            "(half a minute) …"
        ).format(ubuntu=UBUNTU, image=name)
    )
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "base.tar")
        _bootstrap(release, archive, say)
        _import(engine, archive, name)
    return name


def _bootstrap(release, archive, say):
    codename = release.get("VERSION_CODENAME", "")
    if not shutil.which("mmdebstrap") and packages.may_install():
        packages.apt_install(["mmdebstrap"], say)
    tool = next((t for t in ("mmdebstrap", "debootstrap") if shutil.which(t)), None)
    if not tool or not codename:
        raise _cannot_make(_("mmdebstrap and debootstrap are not installed here."))
    run = {"mmdebstrap": _mmdebstrap, "debootstrap": _debootstrap}[tool]
    done = run(codename, archive, archive.parent)
    if done.returncode:
        raise _cannot_make("\n".join(done.stderr.splitlines()[-5:]))


def _mmdebstrap(codename, archive, folder):
    sources = Path(folder, "archives.list")
    text = host.archives(codename)
    if text.startswith(("Types:", "#")) or "\nTypes:" in text:
        sources = sources.with_suffix(".sources")
    sources.write_text(text)
    settings = Path(folder, "apt.conf")
    settings.write_text(_APT)
    argv = ["mmdebstrap", "--variant=minbase"]
    argv += [f"--dpkgopt={line}" for line in _DPKG]
    # After the packages are in: with these in force mmdebstrap loses what it has downloaded.
    argv += [f"--customize-hook=upload {settings} /etc/apt/apt.conf.d/99labkit"]
    argv += ['--customize-hook=rm -f "$1"/var/cache/apt/*.bin']
    argv += [codename, str(archive), *([str(sources)] if text else [])]
    return subprocess.run(argv, capture_output=True, text=True)


def _debootstrap(codename, archive, folder):
    root = Path(folder, "root")
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", codename, str(root)], capture_output=True, text=True
    )
    if done.returncode == 0:
        (root / "etc/apt/apt.conf.d/99labkit").write_text(_APT)
        with tarfile.open(archive, "w") as packed:
            packed.add(root, ".")
    return done


def _cannot_make(tried):
    return BaseError(
        _("There is no base image to build on."),
        _("{image} is not here and no registry gave it.").format(image=UBUNTU) + "\n" + tried,
        _(
            "Connect to the network and try again; or bring the image on a disk (docker save, docker "
            "load); or name one that is here: LABKIT_BASE=debian:12."
        ),
    )


def _import(engine, archive, name):
    changes = [f"LABEL {LABEL}={name}", 'CMD ["/bin/bash"]']
    try:
        # The whole name as the repository: Podman does not read the parameter `tag`.
        engine.client.api.import_image_from_file(str(archive), name, changes=changes)
    except FAULTS as error:
        raise _cannot_make(str(error)) from error


def _derived(engine, plain, extras, say, make):
    """The base that trusts and uses what this host does; the plain one where that is nothing."""
    if not extras:
        return plain
    tag = plain.removeprefix("labkit/base:").replace(":", "-").replace("/", "-")
    name = f"labkit/base:{tag}-class"
    stamp = f"{plain} {extras.digest()} {_id(engine, plain)}"
    if _label(engine, name) == stamp:
        return name
    if not make:
        return None
    say(
        _("Making {image}: {plain} with this machine's certificates and mirrors …").format(
            image=name, plain=plain
        )
    )
    files = {"Dockerfile": _dockerfile(plain, stamp, extras), **_files(extras)}
    if fault := build(engine, name, files):
        raise _cannot_make(fault)
    return name


def _id(engine, name):
    return engine.client.api.inspect_image(name)["Id"][7:19]


def _label(engine, name):
    try:
        labels = engine.client.api.inspect_image(name)["Config"].get("Labels") or {}
    except docker.errors.ImageNotFound:
        return None
    return labels.get(LABEL)


def _dockerfile(plain, stamp, extras):
    lines = [f"FROM {plain}", "COPY root/ /", f'LABEL {LABEL}="{stamp}"']
    variables = dict(extras.pip)
    if extras.bundle:
        path = "/etc/ssl/certs/ca-certificates.crt"
        variables |= {"PIP_CERT": path, "SSL_CERT_FILE": path, "REQUESTS_CA_BUNDLE": path}
    lines += [f'ENV {key}="{value}"' for key, value in sorted(variables.items())]
    return "\n".join(lines) + "\n"


def build(engine: Engine, name: str, files: dict[str, str]) -> str:
    """Build an image of a few texts, path -> text, with the classic builder; "" or what failed."""
    try:
        events = engine.client.api.build(
            fileobj=_packed(files),
            custom_context=True,
            tag=name,
            rm=True,
            forcerm=True,
            decode=True,
        )
        faults = [event["error"] for event in events if "error" in event]
    except FAULTS as error:
        return str(error)
    return faults[0] if faults else ""


def _files(extras):
    """Path in the build context -> text. The bundle is where every program looks for it."""
    files = {}
    for number, certificate in enumerate(extras.certificates):
        files[f"root/usr/local/share/ca-certificates/labkit-{number}.crt"] = certificate
    if extras.bundle:
        files["root/etc/ssl/certs/ca-certificates.crt"] = extras.bundle
    if extras.apt:
        files["root/etc/apt/apt.conf.d/99labkit"] = extras.apt + "\n"
    return files


def _packed(files):
    buffer = BytesIO()
    with tarfile.open(mode="w", fileobj=buffer) as archive:
        for name, text in sorted(files.items()):
            add_text(archive, name, text)
    buffer.seek(0)
    return buffer
