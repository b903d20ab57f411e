"""A tiny base image without a registry: one static busybox, and links to it."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from . import packages

TAG = "labkit-test/tiny:1"
_FOLDERS = (
    "bin",
    "dev",
    "etc",
    "home",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "var",
    "var/tmp",
)
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def tiny_base(client, tag: str = TAG) -> str:
    """Import the base into the engine of `client`, a docker.DockerClient; gives its tag."""
    # The whole name as the repository: Podman 4.3 does not read the parameter `tag`.
    client.api.import_image_from_data(tiny_tar(), repository=tag, changes=['CMD ["/bin/sh"]'])
    return tag


def tiny_tar() -> bytes:
    """The base as a tar: equal bytes each time, so that its layer has one digest everywhere."""
    program = _busybox()
    entries = [*_folders(), *_files(program), *_links(program)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry, data in sorted(entries, key=lambda pair: pair[0].name):
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _busybox() -> Path:
    """Static, so that bookworm's runs on every base; one suite, so that its bytes are the same."""
    return packages.unpacked("busybox", {"bookworm": ("busybox-static",)}) / "bin" / "busybox"


def _folders() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for name in _FOLDERS:
        yield _entry(name, tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755), b""


def _files(program: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    contents = {
        **{name: text.encode() for name, text in _FILES.items()},
        "bin/busybox": program.read_bytes(),
    }
    for name, data in contents.items():
        entry = _entry(name, tarfile.REGTYPE, 0o755 if name.startswith("bin/") else 0o644)
        entry.size = len(data)
        yield entry, data


def _links(program: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    applets = subprocess.run(
        [str(program), "--list"], text=True, capture_output=True, check=True
    ).stdout.split()
    for name in [f"bin/{applet}" for applet in applets if applet != "busybox"] + ["usr/bin/env"]:
        entry = _entry(name, tarfile.SYMTYPE, 0o777)
        entry.linkname = "/bin/busybox"
        yield entry, b""


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, 0
    return entry
