"""Find the engine, say what it is, and turn the SDK's errors into ours."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import docker
import requests
import urllib3

from labkit import packages, private
from labkit.errors import BuildError, EngineClosed, EngineError, EngineStopped, NoEngine
from labkit.words import _

FAULTS = (
    docker.errors.DockerException,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,  # A stream that breaks off: the SDK reads it by itself.
    OSError,
)
"""What the SDK raises; it never leaves engine, builders, base, registry and containers."""

_PING_SECONDS = 5
_CALL_SECONDS = 120


@dataclass(frozen=True)
class Engine:
    """An engine that answers. `source` says in words where it was found."""

    host: str
    source: str
    client: docker.DockerClient = field(compare=False, repr=False)

    @cached_property
    def facts(self) -> dict:
        """What `docker version` says of the server."""
        return self.client.version()

    @property
    def name(self) -> str:
        """ "Docker" or "Podman"."""
        parts = [part["Name"] for part in self.facts.get("Components") or ()]
        return "Podman" if any("Podman" in part for part in parts) else "Docker"

    @property
    def version(self) -> str:
        return self.facts["Version"]

    @property
    def api(self) -> str:
        return self.facts["ApiVersion"]

    @cached_property
    def store(self) -> str:
        """The image store: "containerd", or the storage driver such as "overlay2"."""
        info = self.client.info()
        status = dict(pair for pair in info.get("DriverStatus") or () if len(pair) == 2)
        contained = "io.containerd.snapshotter" in status.get("driver-type", "")
        return "containerd" if contained else info["Driver"]

    @cached_property
    def _plugin(self) -> dict:
        """What the docker CLI says of its buildx plugin; empty where there is none.

        Podman has no BuildKit.
        """
        if self.name != "Docker" or not shutil.which("docker"):
            return {}
        command = ["docker", "info", "--format", "{{json .ClientInfo.Plugins}}"]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environ)
        plugins = json.loads(done.stdout or "null") if done.returncode == 0 else None
        return next((p for p in plugins or () if p.get("Name") == "buildx"), {})

    @property
    def buildx(self) -> str:
        """The version of buildx; "" where it cannot build for us.

        buildx 0.12 is the first with `--progress=rawjson`; the BuildKit inside an engine before
        23.0 knows no named contexts, and with them no stand-in for a base.
        """
        version = self._plugin.get("Version", "").lstrip("v")
        able = _numbers(version) >= (0, 12) and _numbers(self.version) >= (23, 0)
        return version if able else ""

    @property
    def buildx_command(self) -> list[str]:
        """What runs buildx: the plugin itself where its place is known, which is `docker buildx`
        without the time that the CLI takes to find it (some 30 ms)."""
        path = self._plugin.get("Path", "")
        return [path] if os.path.exists(path) else ["docker", "buildx"]

    @property
    def builders(self) -> tuple[str, ...]:
        """The builders that can be asked for, the best first."""
        return ("buildkit", "classic") if self.buildx else ("classic",)

    @property
    def environ(self) -> dict:
        """The environment in which the docker CLI speaks to this engine and no other.

        "default" is buildx's builder inside the engine; attestations would give an image of
        the containerd store a new digest at every build.
        """
        own = {k: v for k, v in os.environ.items() if k != "DOCKER_CONTEXT"}
        return own | {
            "DOCKER_HOST": self.host,
            "BUILDX_BUILDER": "default",
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        }

    def versions(self) -> dict:
        """What a recording keeps of engine and builder."""
        facts = {"engine": self.name, "version": self.version, "api": self.api}
        return facts | {"store": self.store, "buildx": self.buildx}


def find(start: bool = True) -> Engine:
    """The engine that answers, in this order: DOCKER_HOST, the docker context, the default
    sockets, labkit's private engine (started where it may be, unless `start` is false).

    Raises EngineClosed, EngineStopped or NoEngine, each with what was tried.
    """
    named = os.environ.get("DOCKER_HOST")
    if named and named != private.host():  # start.py sets it to ours, which may be stopped by now.
        return connect(named, "DOCKER_HOST")
    context = None if named else _context()
    if context:
        return connect(context[1], _("docker context {name}").format(name=context[0]))
    faults = []
    for host in [] if named else default_hosts():
        try:
            return connect(host, _("default socket"))
        except EngineError as error:
            faults.append(error)
    return _private(start, faults)


def _private(start, faults):
    host = private.running()
    may_start = sys.platform == "linux" and os.geteuid() == 0 and packages.find("dockerd")
    if not host and start and may_start:
        host = private.start()
    if host:
        return connect(host, _("labkit's private engine"))
    for kind in (EngineClosed, EngineStopped):
        if found := next((fault for fault in faults if isinstance(fault, kind)), None):
            raise found
    raise _no_engine()


def connect(host: str, source: str) -> Engine:
    """The engine at this address.

    Raises EngineClosed where the socket is closed to this user, EngineStopped where nothing
    listens, EngineError for the rest.
    """
    try:
        client = docker.DockerClient(base_url=host, timeout=_PING_SECONDS)
        client.ping()
    except FAULTS as error:
        raise _refused(host, source, error) from error
    client.api.timeout = _CALL_SECONDS
    return Engine(host, source, client)


def default_hosts() -> list[str]:
    """The sockets that exist where Docker, Docker Desktop, rootless Docker and Podman put them."""
    if sys.platform == "win32":
        pipes = ("docker_engine", "dockerDesktopLinuxEngine", "podman-machine-default")
        return [f"npipe:////./pipe/{p}" for p in pipes if os.path.exists(rf"\\.\pipe\{p}")]
    home, runtime = Path.home(), Path(os.environ.get("XDG_RUNTIME_DIR") or "/run/user/none")
    places = [
        Path("/var/run/docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".docker/desktop/docker.sock",
        runtime / "docker.sock",
        runtime / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
    ]
    return [f"unix://{place}" for place in places if _exists(place)]


def _exists(path):
    try:
        return path.exists()
    except PermissionError:  # A folder on the way is closed: the socket may be there.
        return True


def _context() -> tuple[str, str] | None:
    """The (name, address) of the docker context in use, None for the default one."""
    name = os.environ.get("DOCKER_CONTEXT")
    try:
        context = (
            docker.ContextAPI.get_context(name) if name else docker.ContextAPI.get_current_context()
        )
    except FAULTS as error:
        raise _bad_context(name, error) from error
    if context is None:
        raise _bad_context(name, None)
    return None if context.Name == "default" else (context.Name, context.Host)


def _bad_context(name, error):
    return NoEngine(
        _("The docker context {name} cannot be read.").format(name=name or ""),
        str(error or _("There is none of this name among the contexts of this user.")),
        _("`docker context ls` shows those there are; `docker context use default` goes back."),
    )


def _refused(host, source, error):
    tried = f"{source}: {host}\n{_root_cause(error)}"
    text = repr(error)
    if "PermissionError" in text or "Permission denied" in text:
        return EngineClosed(
            _("The engine's socket is closed to this user."),
            tried,
            _("Add yourself to its group: sudo usermod -aG docker $USER, then log in again."),
        )
    if any(word in text for word in ("ConnectionRefused", "FileNotFound", "Connection refused")):
        return EngineStopped(_("No engine listens at this address."), tried, _start_line(host))
    return EngineError(_("The engine did not answer as one."), tried, _start_line(host))


def _root_cause(error):
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return str(error)


def _start_line(host):
    if _desktop():
        return _("Start Docker Desktop, wait until it says that the engine runs, and try again.")
    if "podman" in host:
        return _("Start it: systemctl --user start podman.socket")
    if "/run/user/" in host:
        return _("Start it: systemctl --user start docker")
    return _("Start it: sudo systemctl start docker (or check the address in DOCKER_HOST).")


def _desktop():
    places = (
        Path("/Applications/Docker.app"),
        Path(os.environ.get("ProgramFiles", "/none")) / "Docker/Docker/Docker Desktop.exe",
        Path.home() / ".docker/desktop",
    )
    return any(_exists(place) for place in places)


def _no_engine():
    tried = _(
        "DOCKER_HOST is not set; no docker context; no socket where Docker, Docker Desktop, "
        "rootless Docker and Podman put theirs; no private engine of labkit."
    )
    if _desktop():
        return EngineStopped(_("Docker Desktop is not started."), tried, _start_line(""))
    if packages.find("dockerd"):
        return EngineStopped(_("Docker is installed, but does not run."), tried, _start_line(""))
    return NoEngine(_("There is no Docker engine on this machine."), tried, _install())


def _install():
    anywhere = _("Install Docker: https://docs.docker.com/engine/install/")
    return packages.install_line() or anywhere


@contextmanager
def speaking(what: str, kind=BuildError):
    """Turn the SDK's error inside into ours: `what` failed, in the engine's own words."""
    try:
        yield
    except FAULTS as error:
        said = getattr(error, "explanation", None) or str(error)
        raise kind(
            what, str(said), _("`python3 start.py doctor` checks the engine."), stderr=str(error)
        ) from error


def _numbers(version):
    parts = version.split("-")[0].split("+")[0].split(".")
    return tuple(int(part) for part in parts[:2] if part.isdigit())
