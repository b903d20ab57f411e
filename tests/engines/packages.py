"""Debian packages, unpacked in a folder of their own and never installed.

The machine's apt is not touched: each suite gets an apt of its own, with its own lists, and takes only
the mirror, the keys and the proxies from the machine's. What is unpacked stays in the cache folder.
"""

import fcntl
import functools
import glob
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOSTS = ("bookworm", "trixie")
KEYRING = "debian-archive-keyring"
_DEFAULT = {
    "URIs": "http://deb.debian.org/debian",
    "Signed-By": f"/usr/share/keyrings/{KEYRING}.gpg",
}
_OPTIONS = {
    "signed-by": "Signed-By",
    "arch": "Architectures",
    "trusted": "Trusted",
    "check-valid-until": "Check-Valid-Until",
}


def cache() -> Path:
    """The folder that keeps what was unpacked: $LABKIT_TEST_CACHE, else ~/.cache/labkit-tests."""
    return Path(
        os.environ.get("LABKIT_TEST_CACHE") or Path.home() / ".cache" / "labkit-tests"
    ).absolute()


def host_suite() -> str:
    """The codename of the Debian that runs here ("bookworm"); "" when it is another system."""
    try:
        release = Path("/etc/os-release").read_text()
    except OSError:
        return ""
    fields = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    codename = fields.get("VERSION_CODENAME", "").strip('"')
    return codename if fields.get("ID", "").strip('"') == "debian" else ""


def unpacked(name: str, wanted: dict[str, tuple[str, ...]]) -> Path:
    """The folder with the files of `wanted` (suite to package names); made when it is not there yet.

    A download that was cut off goes on from the packages that are whole. RuntimeError when apt or
    dpkg-deb fails.
    """
    root = cache() / f"{name}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]}"
    if not root.is_dir():
        with _locked(cache() / f"{root.name}.lock"):
            _make(root, wanted)
    return root


def _make(root: Path, wanted: dict[str, tuple[str, ...]]) -> None:
    """Unpack beside `root`; the folder gets its name when it is complete."""
    if root.is_dir():  # another process was first
        return
    store, part = root.parent / f"{root.name}.debs", root.parent / f"{root.name}.part"
    debs = [deb for suite in wanted for deb in _download(suite, wanted[suite], store)]
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for deb in debs:
        _run(["dpkg-deb", "-x", str(deb), str(part)])
    part.rename(root)
    shutil.rmtree(store)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(suite: str, names: tuple[str, ...], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(cache() / "apt" / f"{suite}.lock"):
        config = _own_apt(suite)
        listed = _run(["apt-get", "download", "--print-uris", *names], config)
        # One line a package: 'http://.../x.deb' x.deb 123 SHA256:...
        sizes = {
            parts[1]: int(parts[2])
            for parts in map(str.split, listed.splitlines())
            if len(parts) == 4
        }
        missing = [
            name.split("_")[0] for name in sizes if not _is_whole(folder / name, sizes[name])
        ]
        if missing:
            _run(["apt-get", "download", "-q", *missing], config, folder)
    return [folder / name for name in sizes]


def _is_whole(deb: Path, size_bytes: int) -> bool:
    return deb.is_file() and deb.stat().st_size == size_bytes


@functools.cache
def _own_apt(suite: str) -> Path:
    """The configuration file of a private apt that knows `suite` alone, its lists fresh."""
    home = cache() / "apt" / suite
    for name in ("parts", "state/lists/partial", "cache/archives/partial"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    (home / "debian.sources").write_text(_stanza(suite))
    config = home / "apt.conf"
    config.write_text(
        "".join(f'{key} "{value}";\n' for key, value in _settings(home)) + _transport()
    )
    _run(["apt-get", "update", "-q"], config)
    return config


def _settings(home: Path) -> list[tuple[str, object]]:
    return [
        ("Dir::Etc::main", "/dev/null"),
        ("Dir::Etc::parts", home / "parts"),
        ("Dir::Etc::sourcelist", home / "debian.sources"),
        ("Dir::Etc::sourceparts", home / "parts"),
        ("Dir::State", home / "state"),
        ("Dir::State::status", home / "status"),
        ("Dir::Cache", home / "cache"),
        ("APT::Sandbox::User", "root"),
        ("Acquire::Languages", "none"),
    ]


def _transport() -> str:
    """The machine's own settings of proxies, certificates and dates, without its hooks."""
    ours = ("Acquire::IndexTargets", "Acquire::Languages", "Acquire::CompressionTypes")
    lines = _run(["apt-config", "dump"]).splitlines()
    kept = [line for line in lines if line.startswith("Acquire::") and not line.startswith(ours)]
    return "".join(f"{line}\n" for line in kept)


def _stanza(suite: str) -> str:
    """The source of `suite`: the machine's own mirror under another suite's name."""
    source = {**_host_source(), "Types": "deb", "Suites": suite, "Components": "main"}
    if suite != host_suite():
        source["Signed-By"] = _with_newer_keys(source.get("Signed-By", ""))
    return "".join(f"{key}: {value}\n" for key, value in source.items() if value)


def _with_newer_keys(signed_by: str) -> str:
    """The keyrings, and the one of the host's suite today: an older installed one lacks newer keys."""
    if "\n" in signed_by:  # the key itself, not the path of a keyring
        return signed_by
    keys = unpacked(KEYRING, {host_suite(): (KEYRING,)}) / "usr/share/keyrings"
    return " ".join([*signed_by.split(), *map(str, sorted(keys.glob(f"{KEYRING}.*g*"))[:1])])


def _host_source() -> dict[str, str]:
    names = {host_suite(), "stable", "oldstable"}
    found = [
        source
        for source in _all_sources()
        if "deb" in source.get("Types", "").split()
        and names & set(source.get("Suites", "").split())
        and "main" in source.get("Components", "").split()
        and source.get("Enabled", "yes") != "no"
    ]
    found.sort(key=lambda source: "debian" not in source["URIs"].lower())
    return (found or [_DEFAULT])[0]


def _all_sources() -> list[dict[str, str]]:
    lists = ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*.list"))]
    lines = [
        line
        for path in lists
        if os.path.exists(path)
        for line in Path(path).read_text().splitlines()
    ]
    texts = [
        Path(path).read_text() for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))
    ]
    stanzas = [stanza for text in texts for stanza in re.split(r"\n\s*\n", text)]
    return [*filter(None, map(_one_line, lines)), *map(_deb822, stanzas)]


def _one_line(line: str) -> dict[str, str]:
    """`deb [signed-by=k] uri suite main` as fields; nothing of a comment.

    >>> _one_line("deb [arch=amd64] http://m/debian bookworm main")["Architectures"]
    'amd64'
    """
    found = re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line.strip())
    if not found:
        return {}
    options = dict(option.split("=", 1) for option in (found[1] or "").split() if "=" in option)
    fields = {"Types": "deb", "URIs": found[2], "Suites": found[3], "Components": found[4].strip()}
    return {
        **fields,
        **{
            _OPTIONS[key]: value.replace(",", " ")
            for key, value in options.items()
            if key in _OPTIONS
        },
    }


def _deb822(stanza: str) -> dict[str, str]:
    """The fields of one stanza; a field over several lines keeps its line ends."""
    text = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
    fields = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", text, re.MULTILINE)
    return {key: value.rstrip() for key, value in fields}


def _run(command: list[str], config: Path | None = None, folder: Path | None = None) -> str:
    environ = {**os.environ, "LC_ALL": "C", **({"APT_CONFIG": str(config)} if config else {})}
    done = subprocess.run(command, env=environ, cwd=folder, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr.strip()}"
        )
    return done.stdout
