"""How each engine is started: its command, its environment and its settings."""

import json
from pathlib import Path

from . import namespaces

_FOLDERS = ("usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
# Below the engine's own {folder}; what stands in {folder}/etc is seen in /etc. {root} has the packages.
_PODMAN_FILES = {
    "containers.conf": """
[containers]
default_sysctls = []
dns_servers = ["{nameserver}"]
[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["{folder}/bin/conmon"]
events_logger = "file"
helper_binaries_dir = ["{root}/usr/lib/podman"]
image_copy_tmp_dir = "{folder}"
runtime = "runc"
[engine.runtimes]
runc = ["{folder}/bin/runc"]
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
""",
    "storage.conf": """
[storage]
driver = "overlay"
graphroot = "{folder}/data"
runroot = "{folder}/run"
""",
    "registries.conf": """
unqualified-search-registries = ["docker.io"]
""",
    # Podman starts conmon with an environment of its own, in which the unpacked libraries are not found.
    "bin/conmon": """
#!/bin/sh
LD_LIBRARY_PATH={libraries} exec {root}/usr/bin/conmon "$@"
""",
    "bin/runc": """
#!/bin/sh
LD_LIBRARY_PATH={libraries} exec {root}/usr/sbin/runc "$@"
""",
    "etc/containers/policy.json": """
{{"default": [{{"type": "insecureAcceptAnything"}}]}}
""",
}


def cgroups(name: str, folder: Path) -> tuple[str, ...]:
    """The control groups (patterns) below which the engine puts its containers."""
    return ("libpod_parent", "buildah-*") if name == "podman" else (folder.name,)


def environ(root: Path, folder: Path) -> dict[str, str]:
    """What the daemon and its children see: the unpacked programs and libraries, no file of the machine."""
    here = [str(root / name) for name in _FOLDERS]
    libraries = _libraries(root)
    return {
        "PATH": ":".join([*here, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
        "HOME": str(folder),
        "LD_LIBRARY_PATH": ":".join(libraries),
        "TMPDIR": str(folder),
        "XTABLES_LIBDIR": ":".join(f"{path}/xtables" for path in libraries),
        "BUILDKIT_STEP_LOG_MAX_SIZE": "-1",
        "BUILDKIT_STEP_LOG_MAX_SPEED": "-1",
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
    }


def command(name: str, root: Path, folder: Path) -> list[str]:
    """The command that starts the engine in the foreground; its settings are written to `folder`."""
    return _podman(root, folder) if name == "podman" else _dockerd(name, folder)


def _libraries(root: Path) -> list[str]:
    return [str(path) for start in ("lib", "usr/lib") for path in root.glob(f"{start}/*-linux-gnu")]


def _dockerd(name: str, folder: Path) -> list[str]:
    settings = {
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/pid",
        "hosts": [f"unix://{folder}/docker.sock"],
        "dns": [namespaces.NAMESERVER],
        "cgroup-parent": f"/{folder.name}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "features": {"containerd-snapshotter": True} if name.endswith("-containerd") else {},
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    return ["dockerd", "--config-file", f"{folder}/daemon.json"]


def _podman(root: Path, folder: Path) -> list[str]:
    places = {
        "root": root,
        "folder": folder,
        "nameserver": namespaces.NAMESERVER,
        "libraries": ":".join(_libraries(root)),
    }
    for name, text in _PODMAN_FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.format(**places).lstrip())
        (folder / name).chmod(0o755 if name.startswith("bin/") else 0o644)
    return ["podman", "system", "service", "--time=0", f"unix://{folder}/docker.sock"]
