"""Four real engines from Debian's packages, started one at a time and gone without a trace.

python3 -m tests.engines.machines --list
python3 -m tests.engines.machines docker-26.1 -- docker version
"""

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import daemons, namespaces, packages

NAMES = ("docker-20.10", "docker-26.1", "docker-26.1-containerd", "podman")
_BUILDERS = {
    "docker-20.10": ("classic",),
    "docker-26.1": ("buildkit", "classic"),
    "docker-26.1-containerd": ("buildkit", "classic"),
    "podman": ("classic",),
}
_START_SECONDS = 60

# Programs in C come from the suite of the machine: built against its own libc. Go's want little of it.
_HELPERS = (
    "runc",
    "tini",
    "slirp4netns",
    "libslirp0",
    "libseccomp2",
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libpcre2-8-0",
)
_GLIB = {"bookworm": ("libglib2.0-0",), "trixie": ("libglib2.0-0t64", "libatomic1")}
_PODMAN = (
    "podman",
    "conmon",
    "netavark",
    "aardvark-dns",
    "golang-github-containers-common",
    "golang-github-containers-image",
    "libgpgme11",
    "libassuan0",
    "libgpg-error0",
    "libsubid4",
    "libdevmapper1.02.1",
    "libseccomp2",
    "libglib2.0-0",
)
_ENGINES = {
    "docker-20.10": {"bookworm": ("docker.io", "containerd", "libdevmapper1.02.1")},
    "docker-26.1": {"trixie": ("docker.io", "docker-cli", "docker-buildx", "containerd")},
    "podman": {"trixie": ("docker-cli",), "bookworm": _PODMAN},
}


@dataclass(frozen=True)
class Engine:
    """A running engine: where it answers, and what a process needs that talks to it."""

    name: str
    host: str
    builders: tuple[str, ...]
    path: str  # folders of the matching `docker`, as in PATH
    environ: dict  # to lay over os.environ
    netns_pid: int  # a process in the engine's network namespace


def why_not(name: str) -> str | None:
    """One sentence why this machine can't have the engine; None when it can. Downloads nothing."""
    if name not in NAMES:
        return f"There is no engine called {name}: {', '.join(NAMES)}."
    if packages.host_suite() not in packages.HOSTS:
        return "The engines are unpacked from Debian's packages, and this is not Debian 12 or 13."
    if platform.machine() not in ("x86_64", "aarch64"):
        return f"Debian's engines are tried on amd64 and arm64, not on {platform.machine()}."
    if os.geteuid() != 0:
        return "Only root may start an engine of its own."
    if not os.path.exists("/dev/net/tun"):
        return "slirp4netns needs /dev/net/tun, which is not here."
    if subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True
    ).returncode:
        return "This root may not make namespaces (a container without privileges)."
    return None


def prepare(name: str) -> Path:
    """Download and unpack an engine; gives the folder with its usr/bin. The second time it is there."""
    bundle = name.removesuffix("-containerd")
    host = packages.host_suite()
    helpers = (*_HELPERS, *_GLIB[host])
    wanted = dict(_ENGINES[bundle])
    # The host's own suite last, so that its C libraries win over another's.
    wanted = {**wanted, host: tuple(dict.fromkeys((*wanted.pop(host, ()), *helpers)))}
    root = packages.unpacked(bundle, wanted)
    _link_iptables(root)
    return root


def _link_iptables(root: Path) -> None:
    """What Debian's alternatives would do: the packages hold no plain `iptables`."""
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    for name in ("iptables", "ip6tables"):
        link = root / "usr/local/bin" / name
        if not link.is_symlink():
            link.symlink_to(f"../../sbin/{name}-nft")


@contextmanager
def running(name: str) -> Iterator[Engine]:
    """Start an engine with an empty store; stop it and delete all of it after."""
    reason = why_not(name)
    if reason:
        raise RuntimeError(reason)
    root = prepare(name)
    # Not /tmp, which is a file system in memory on Debian 13.
    folder = Path(
        tempfile.mkdtemp(prefix="labkit-test-", dir=os.environ.get("TMPDIR") or "/var/tmp")
    )
    try:
        command = daemons.command(name, root, folder)
        with (
            namespaces.swept_cgroups(*daemons.cgroups(name, folder)),
            namespaces.boxed(command, daemons.environ(root, folder), folder) as pid,
        ):
            _wait_for(folder, pid)
            yield _engine(name, root, folder, pid)
    finally:
        shutil.rmtree(folder)


@contextmanager
def inside(engine: Engine) -> Iterator[None]:
    """This thread, and what it starts, in the engine's network: published ports answer at 127.0.0.1."""
    with namespaces.inside_network(engine.netns_pid):
        yield


def _engine(name: str, root: Path, folder: Path, pid: int) -> Engine:
    host = f"unix://{folder}/docker.sock"
    path = str(root / "usr/bin")
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    if "buildkit" in _BUILDERS[name]:
        (plugins / "docker-buildx").symlink_to(
            root / "usr/libexec/docker/cli-plugins/docker-buildx"
        )
    environ = {
        "DOCKER_HOST": host,
        "DOCKER_CONFIG": str(folder / "config"),
        "DOCKER_TLS_VERIFY": "",
        "BUILDX_BUILDER": "",
        "PATH": f"{path}:{os.environ.get('PATH', os.defpath)}",
    }
    return Engine(name, host, _BUILDERS[name], path, environ, pid)


def _wait_for(folder: Path, pid: int) -> None:
    """Until the engine answers /_ping; RuntimeError with the end of its log when it does not."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and os.path.exists(f"/proc/{pid}"):
        if _answers(folder / "docker.sock"):
            return
        time.sleep(0.05)
    log = (folder / "log").read_text(errors="replace")
    raise RuntimeError(f"The engine did not start:\n{log[-3000:]}")


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """NAME -- COMMAND...: the command's exit code. --list: the names, and why one can't be had."""
    if arguments == ["--list"]:
        for name in NAMES:
            print(f"{name:24}{why_not(name) or 'can be had'}")
        return 0
    if len(arguments) < 3 or arguments[1] != "--":
        print(__doc__.strip(), file=sys.stderr)
        return 2
    with running(arguments[0]) as engine, inside(engine):
        return subprocess.run(arguments[2:], env={**os.environ, **engine.environ}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
