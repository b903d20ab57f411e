"""A daemon in namespaces of its own: network, mounts and processes, so that nothing of it is left.

The daemon's first process ends when the pipe to this process closes, and the kernel then ends
everything that the daemon started, and takes its mounts and its network with it. The way out is
slirp4netns: ordinary sockets of this machine, no bridge, no rule in its firewall.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAMESERVER = "10.0.2.3"  # slirp4netns(1): its built-in DNS
_CLONE_NEWNET = 0x40000000
_UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
# $1 is a folder laid over /etc, the rest the daemon. /proc is still the outer one in the first line, so the
# number read there is the one that the outer world knows. /run is hidden so that no socket or lock of the
# machine is met, AppArmor's folder so that no profile is loaded into its kernel. What is written to /etc
# (dockerd 20.10: docker/key.json), /opt (containerd) and /var (podman's caches) goes to memory.
_FIRST_PROCESS = """
set -e
read pid rest < /proc/self/stat
mount -t tmpfs -o mode=755 tmpfs /run
for top in /etc /opt /var/lib /var/cache; do
    mkdir -p /run/over$top /run/work$top
    if [ $top = /etc ]; then cp -R "$1/." /run/over/etc; fi
    mount -t overlay -o "lowerdir=$top,upperdir=/run/over$top,workdir=/run/work$top" overlay $top
done
if [ -d /sys/kernel/security ]; then mount -t tmpfs tmpfs /sys/kernel/security; fi
# An overlay cannot lie on another one: in a container the layers go to memory.
if [ "$(stat -f -c %T .)" = overlayfs ]; then mkdir -p data; mount -t tmpfs tmpfs data; fi
mount -t proc proc /proc
shift
echo "$pid"
read go
exec 3<&0
"$@" < /dev/null >&2 3<&- & daemon=$!
{ cat <&3 > /dev/null; kill -9 $daemon; } &
wait $daemon
"""


@contextmanager
def boxed(command: list[str], environ: dict[str, str], folder: Path) -> Iterator[int]:
    """Run a daemon, its output in `folder`/log; gives the process id that holds its namespaces.

    The daemon sees the files of `folder`/etc in /etc. slirp4netns is looked up on the PATH of `environ`.
    RuntimeError when the namespaces can't be made.
    """
    (folder / "etc").mkdir(exist_ok=True)
    (folder / "etc/resolv.conf").write_text(f"nameserver {NAMESERVER}\n")
    script = ["sh", "-c", _FIRST_PROCESS, "daemon", str(folder / "etc")]
    with open(folder / "log", "wb") as log:
        box = subprocess.Popen(
            [*_UNSHARE, *script, *command],
            env=environ,
            text=True,
            cwd=folder,
            stderr=log,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        pid = int(box.stdout.readline() or 0)
        if not pid:
            raise RuntimeError(f"The namespaces could not be made:\n{(folder / 'log').read_text()}")
        with _way_out(pid, environ, folder):
            box.stdin.write("go\n")
            box.stdin.flush()
            yield pid
    finally:
        _close(box)


def _close(box: subprocess.Popen) -> None:
    """Let go of the daemon and wait until all that it started has ended."""
    with suppress(BrokenPipeError):
        box.stdin.close()
    try:
        box.wait(timeout=20)
    except subprocess.TimeoutExpired:
        box.kill()  # unshare --kill-child takes its child along
        box.wait()
    box.stdout.close()


@contextmanager
def _way_out(pid: int, environ: dict[str, str], folder: Path) -> Iterator[None]:
    """slirp4netns on the network namespace of `pid`; it ends with this process at the latest."""
    ready, ready_end = os.pipe()
    exit_end, keep = os.pipe()
    flags = [
        "--configure",
        "--mtu=65520",
        "--disable-host-loopback",
        f"--ready-fd={ready_end}",
        f"--exit-fd={exit_end}",
    ]
    with open(folder / "slirp4netns.log", "wb") as log:
        slirp = subprocess.Popen(
            ["slirp4netns", *flags, str(pid), "tap0"],
            env=environ,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            pass_fds=(ready_end, exit_end),
            start_new_session=True,
        )
    os.close(ready_end)
    os.close(exit_end)
    try:
        if os.read(ready, 1) != b"1":
            raise RuntimeError(f"slirp4netns failed:\n{(folder / 'slirp4netns.log').read_text()}")
        yield
    finally:
        os.close(ready)
        os.close(keep)
        slirp.terminate()
        slirp.wait()


@contextmanager
def inside_network(pid: int) -> Iterator[None]:
    """This thread, and the processes that it starts, in the network of `pid`; after it, back."""
    with open("/proc/thread-self/ns/net") as home, open(f"/proc/{pid}/ns/net") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(descriptor: int) -> None:
    """setns(2), which `os` has only since Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


@contextmanager
def swept_cgroups(*names: str) -> Iterator[None]:
    """After it, remove the control groups that came up below those called `names` (patterns).

    One that has processes stays: it is another engine's.
    """
    before = _cgroups(names)
    try:
        yield
    finally:
        for folder in sorted(_cgroups(names) - before, key=len, reverse=True):
            with suppress(OSError):
                os.rmdir(folder)


def _cgroups(names: tuple[str, ...]) -> set[str]:
    """The folders of control groups, of version 2 or below a controller of version 1."""
    top = Path("/sys/fs/cgroup")
    parents = [
        path for name in names for pattern in (name, f"*/{name}") for path in top.glob(pattern)
    ]
    return {folder for parent in parents for folder, _, _ in os.walk(parent)}
