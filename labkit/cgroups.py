"""Room for a dockerd's cgroups inside a container; standard library only."""

import contextlib
from pathlib import Path


def make_ready(root: Path = Path("/sys/fs/cgroup")) -> None:
    """Let dockerd make cgroups where we are in a container with cgroup v2.

    There the container's own processes sit in its root cgroup, and a cgroup with processes may
    not hand controllers on to its children ("no internal processes" in the kernel's cgroup-v2
    text). They are moved into a child, as Docker's own image for Docker in Docker does.
    Does nothing on cgroup v1, on a real machine, and where the controllers are handed on.
    """
    if not (root / "cgroup.type").exists():  # no such file on v1 and in a machine's true root
        return
    controllers = (root / "cgroup.controllers").read_text().split()
    handed_on = root / "cgroup.subtree_control"
    for _attempt in range(5):  # a process may be born while the others are moved
        if set(controllers) <= set(handed_on.read_text().split()):
            return
        with contextlib.suppress(OSError):
            handed_on.write_text(" ".join(f"+{name}" for name in controllers))
            return
        if not _move_processes(root, root / "labkit"):
            return  # read-only: dockerd will say so better


def _move_processes(source: Path, target: Path) -> bool:
    try:
        target.mkdir(exist_ok=True)
    except OSError:
        return False
    for pid in (source / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):  # it has ended, or is the kernel's
            (target / "cgroup.procs").write_text(pid)
    return True
