"""The distribution's packages of an engine: which are missing, and how they are installed.

Standard library only: start.py runs this before anything is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from labkit.errors import NoEngine
from labkit.terminal import tail
from labkit.words import _

# Package -> the program that shows it is there already, whoever brought it.
ENGINE = {
    "docker.io": "dockerd",
    "docker-cli": "docker",  # part of docker.io before Debian 13
    "docker-buildx": "docker-buildx",  # not in Debian 12
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",  # makes a base image where no registry answers
    "ca-certificates": "update-ca-certificates",
}
# In a container whose own root is an overlay, the kernel cannot lay another overlay upon it, and
# dockerd would copy the whole image for every container (vfs): measured 6 s against 0.4 s.
NESTED = {"fuse-overlayfs": "fuse-overlayfs"}
_NOT_EVERYWHERE = ("docker-cli", "docker-buildx")
_PLUGINS = [
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    os.path.expanduser("~/.docker/cli-plugins"),
]
_GROUP = 'sudo usermod -aG docker "$USER" && newgrp docker'
START_LINE = f"sudo systemctl start docker && {_GROUP}"
_ENABLE = f"sudo systemctl enable --now docker && {_GROUP}"
# Package manager -> the line for a person who may use sudo.
_LINES = {
    "apt-get": f"sudo apt-get update && sudo apt-get install -y {{packages}} && {_GROUP}",
    "dnf": f"sudo dnf install -y moby-engine docker-cli docker-buildx && {_ENABLE}",
    "pacman": f"sudo pacman -S --needed docker docker-buildx && {_ENABLE}",
    "zypper": f"sudo zypper install -y docker docker-buildx && {_ENABLE}",
    "brew": "brew install --cask docker-desktop && open -a Docker",
    "winget": "winget install -e --id Docker.DockerDesktop",
}
# The service of a package must not start here: in a container nothing would ever stop it, and
# labkit starts an engine of its own. With systemd the package's own service is the right engine.
# The shell, not Python, owns the file: it outlives a start.py that is killed.
_QUIETLY = """
policy=/usr/sbin/policy-rc.d
if [ ! -d /run/systemd/system ] && { [ ! -e $policy ] || grep -qs 'made by labkit' $policy; }; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\\n# made by labkit while it installs packages\\nexit 101\\n' > $policy
    chmod 755 $policy
fi
"$@"
"""


def find(program: str) -> str | None:
    """The path of a program, also where PATH lacks the sbin folders (as after plain `su`)."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return shutil.which(program, path=path)


def may_install() -> bool:
    """Whether labkit itself may install packages: as root, on Debian, Ubuntu and their kin."""
    return sys.platform == "linux" and os.geteuid() == 0 and bool(find("apt-get"))


def missing_packages() -> list[str]:
    """The engine's packages that this machine lacks and its release has."""
    wanted = ENGINE | (NESTED if _on_overlay() else {})
    absent = [name for name, program in wanted.items() if not _there(program)]
    if find("dockerd") and not Path("/var/lib/dpkg/info/docker.io.list").exists():
        # An engine from elsewhere (docker-ce): the distribution's packages would fight it.
        absent = [name for name in absent if not name.startswith("docker")]
    optional = [name for name in absent if name in _NOT_EVERYWHERE]
    known = _known(optional) if optional and find("apt-cache") else set()
    return [name for name in absent if name in known or name not in _NOT_EVERYWHERE]


def _on_overlay() -> bool:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return False
    return any(where == "/" and kind == "overlay" for _device, where, kind, *_rest in mounts)


def _there(program: str) -> bool:
    if program == "docker-buildx":
        return any(os.path.exists(os.path.join(folder, program)) for folder in _PLUGINS)
    return bool(find(program))


def half_installed() -> bool:
    """Whether an installation was cut off on this machine."""
    audit = ["dpkg", "--audit"]
    return bool(find("dpkg") and subprocess.run(audit, capture_output=True).stdout.strip())


def _known(names: list[str]) -> set[str]:
    """Those of the packages that apt could install."""
    command = ["apt-cache", "policy", *names]
    text = subprocess.run(
        command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True
    ).stdout
    known, name = set(), ""
    for line in text.splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif "Candidate:" in line and "(none)" not in line:
            known.add(name)
    return known


def install_line() -> str:
    """The exact line that gives this machine an engine, for a person to run; "" where unknown."""
    manager = next((name for name in _LINES if find(name)), None)
    if manager is None:
        return ""
    names = missing_packages() if manager == "apt-get" else []
    if manager == "apt-get" and not names:
        return START_LINE
    return _LINES[manager].format(packages=" ".join(names))


def install(progress=lambda text: None, log: Path | None = None) -> None:
    """Install what `missing_packages` names; says what it does to `progress(text)`."""
    if not may_install():
        raise NoEngine(
            _("The engine's packages are not installed."),
            _("Only root may install them, and only apt is known to labkit."),
            _("Run this, then try again: {line}").format(line=install_line()),
        )
    if half_installed():
        progress(_("finishing what was cut off"))
        _logged(["dpkg", "--configure", "-a"], log)
    if not _known(["docker.io"]):
        progress(_("fetching the list of packages"))
        _apt(["update"], log)
    names = missing_packages()
    if names:
        apt_install(names, progress, log)


def apt_install(names: list[str], progress=lambda text: None, log: Path | None = None) -> None:
    """Install packages with apt; mends a cut-off installation and an old list of packages."""
    progress(_("installing {packages}").format(packages=", ".join(names)))
    command = ["install", "-y", "--no-install-recommends", *names]
    if _apt(command, log) == 0:
        return
    progress(_("fetching the list of packages, then once more"))
    _logged(["dpkg", "--configure", "-a"], log)
    _apt(["update"], log)
    if _apt(command, log) != 0:
        raise NoEngine(
            _("Packages could not be installed: {packages}.").format(packages=", ".join(names)),
            "apt-get " + " ".join(command),
            _("Read what apt says in {log}, then try again.").format(log=log),
            command="apt-get " + " ".join(command),
            stderr=tail(log),
        )


def _apt(arguments: list[str], log: Path | None) -> int:
    options = ["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"]
    # apt waits for another's lock on installing, but not on the lists: a start.py that was killed
    # may have left its apt-get at work.
    alone = ["flock", "/run/labkit-apt.lock"]
    return _logged([*alone, "sh", "-c", _QUIETLY, "sh", "apt-get", *options, *arguments], log)


def _logged(command: list[str], log: Path | None) -> int:
    """The exit code; a session of its own, so that Ctrl-C cannot leave packages half installed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    with open(log or os.devnull, "ab") as out:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        ).returncode
