"""The private engine: a dockerd of labkit's own, where no other engine answers.

Its data lie in the user's folder (`home()`), its socket and process files in a folder under
/run that only this user may enter. Nothing of it is ever in the clone. Standard library only:
start.py runs this before anything is installed. Linux only, and only root may start it.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from labkit import cgroups
from labkit.errors import EngineStopped, NoEngine
from labkit.packages import (
    START_LINE,
    find,
    install,
    install_line,
    may_install,
    missing_packages,
)
from labkit.terminal import tail
from labkit.words import _

__all__ = [
    "home", "host", "install", "install_line", "may_install", "missing_packages", "running",
    "start", "stop",
]  # fmt: skip

START_SECONDS = 30
STOP_SECONDS = 60  # dockerd gives its containers 15 s
# Keys of the system's daemon.json that would take our engine out of its own folders.
_NOT_OURS = {"hosts", "data-root", "graph", "exec-root", "pidfile", "group", "containerd", "bip"}
_CONTAINERD = "exec/containerd/containerd.pid"
_started = []  # the processes that we started; kept, so that they can be reaped


def home() -> Path:
    """The user's folder for labkit's data: LABKIT_HOME, else the XDG data folder's labkit."""
    if os.environ.get("LABKIT_HOME"):
        return Path(os.environ["LABKIT_HOME"]).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "labkit"


def run_folder() -> Path:
    """The folder of the socket and the process files: short, for a socket's path ends at 107 bytes,
    and empty after a reboot, which leaves no stale files."""
    digest = hashlib.sha256(os.fsencode(home())).hexdigest()[:10]
    return Path("/run") / f"labkit-{digest}"


def host() -> str:
    """Where our engine listens, running or not; as DOCKER_HOST has it."""
    return f"unix://{_socket()}"


def _socket() -> Path:
    return run_folder() / "docker.sock"


def _data() -> Path:
    return home() / "engine"


def _log() -> Path:
    return home() / "engine.log"


def running() -> str | None:
    """Our engine's host if it answers, else None."""
    return host() if _answers(_socket()) else None


def _answers(path: Path) -> bool:
    if not hasattr(socket, "AF_UNIX"):  # Python on Windows
        return False
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


def start() -> str:
    """Start our engine unless it runs, wait until it answers, and return its host.

    It outlives this process. Raises NoEngine where no dockerd is installed, EngineStopped where
    it may not be started or does not answer.
    """
    answer = running()
    if answer:
        return answer
    dockerd = _dockerd()
    with locked("engine.lock"):  # two callers, one engine
        return running() or _launch(dockerd)


def _dockerd() -> str:
    """The path of dockerd; raises where this user cannot have it run."""
    path = find("dockerd")
    if path is None:
        line = install_line()
        raise NoEngine(
            _("There is no container engine on this machine."),
            _("No engine answers, and dockerd is not installed."),
            _("Run this, then try again: {line}").format(line=line)
            if line
            else _("Install Docker or Podman, then try again."),
        )
    if os.geteuid() != 0:
        raise EngineStopped(
            _("An engine is installed, but does not run."),
            _("Only root may start {program}.").format(program=path),
            _("Run this, then try again: {line}").format(line=START_LINE),
        )
    return path


@contextlib.contextmanager
def locked(name: str):
    """Let one process at a time through; the others wait. The lock ends with its process."""
    home().mkdir(parents=True, exist_ok=True)
    with open(home() / name, "w") as lock:
        with contextlib.suppress(ImportError):  # Windows: there is no private engine to guard
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _launch(dockerd: str) -> str:
    folder = run_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    _clear_stale_files()
    cgroups.make_ready()
    with open(_log(), "ab") as log:
        process = subprocess.Popen(
            [dockerd, *_arguments()],
            # An uncut build log: BuildKit's default drops what is over 2 MiB or 200 KiB a second.
            env={
                **os.environ,
                "BUILDKIT_STEP_LOG_MAX_SIZE": "-1",
                "BUILDKIT_STEP_LOG_MAX_SPEED": "-1",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,  # out of reach of the kernel's Ctrl-C and of its end
        )
    _started.append(process)
    return _wait_until_up(process)


def _clear_stale_files():
    """Remove the pid files of processes that are gone: dockerd would take whatever has these
    numbers now for itself or for its containerd, and not start."""
    limit = time.monotonic() + 2  # containerd ends with a dockerd that was killed, a moment later
    while _pid("pid") is None and _pid(_CONTAINERD) is not None and time.monotonic() < limit:
        time.sleep(0.05)
    for name in ("pid", _CONTAINERD):
        if _pid(name) is None:
            (run_folder() / name).unlink(missing_ok=True)


def _arguments() -> list[str]:
    folder = run_folder()
    config = home() / "daemon.json"
    config.write_text(json.dumps(_system_config()))
    return [
        *("--config-file", str(config)),
        *("--data-root", str(_data())),
        *("--exec-root", str(folder / "exec")),
        *("--pidfile", str(folder / "pid")),
        *("--host", host()),
    ]


def _system_config() -> dict:
    """What the system's daemon.json says of mirrors, DNS and the like, without its places."""
    try:
        config = json.loads(Path("/etc/docker/daemon.json").read_text())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in config.items() if key not in _NOT_OURS}


def _wait_until_up(process: subprocess.Popen) -> str:
    limit = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < limit:
        if _answers(_socket()):
            _socket().chmod(0o600)  # dockerd makes it 0660
            return host()
        time.sleep(0.05)
    if process.poll() is None:
        process.terminate()
    raise EngineStopped(
        _("The private engine did not start."),
        _("{command}, which said: {lines}").format(
            command=" ".join(process.args), lines=tail(_log(), 3)
        ),
        _("Read {log}. In a container, the container must be privileged.").format(log=_log()),
        command=" ".join(process.args),
        stderr=tail(_log()),
    )


def stop() -> bool:
    """Stop our engine and keep its data; True if there was one to stop."""
    if not run_folder().exists():
        return False
    with locked("engine.lock"):
        if (run_folder() / "pid").exists() and _pid("pid") is None:
            # dockerd was killed. Its containers and mounts may be left, and only a dockerd knows
            # how to end those.
            with contextlib.suppress(NoEngine, EngineStopped):
                _launch(_dockerd())
        was_there = _end("pid")
        if _unmount():
            shutil.rmtree(run_folder(), ignore_errors=True)
    return was_there


def _unmount() -> bool:
    """End the mounts that a killed dockerd left, even to the next one; False if one remains."""
    for place in reversed(_mounts()):  # the inner ones first
        subprocess.run(["umount", place], capture_output=True)
    return not _mounts()


def _mounts() -> list[str]:
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    # The kernel writes a space as \\040, and letters of any language as they are.
    plain = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), place) for place in places]
    return [p for p in plain if f"{p}/".startswith((f"{_data()}/", f"{run_folder()}/"))]


def _command(pid) -> list[str]:
    """The command line of a process; [""] where there is none, or no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return [""]


def _pid(name: str) -> int | None:
    """The process that a pid file of ours names, if it runs and is ours: pids are used again."""
    try:
        pid = int((run_folder() / name).read_text())
    except (OSError, ValueError):
        return None
    program, *words = _command(pid)
    ours = any(word.startswith(f"{run_folder()}/") for word in words)
    return pid if ours and os.path.basename(program) in ("dockerd", "containerd") else None


def _end(name: str) -> bool:
    """Ask the process of this pid file to end, and wait for it; False if there is none."""
    pid = _pid(name)
    if pid is None:
        return False
    limit = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while _pid(name) == pid and time.monotonic() < limit:
        for process in _started:
            process.poll()  # reaps it if it is our child
        time.sleep(0.05)
    if _pid(name) == pid:
        os.kill(pid, signal.SIGKILL)
    return True


def main(arguments: list[str]) -> int:
    """`python -m labkit.private install|start|stop|running`, for a terminal and for start.py."""
    actions = {"install": install, "start": start, "stop": stop, "running": running}
    if len(arguments) != 1 or arguments[0] not in actions:
        print(main.__doc__, file=sys.stderr)
        return 2
    try:
        answer = actions[arguments[0]]()
    except (NoEngine, EngineStopped) as error:
        print(error, file=sys.stderr)
        return 1
    print(answer or "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
