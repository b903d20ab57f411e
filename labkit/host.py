"""What this machine needs to reach the network: extra certificates, mirrors, proxies of apt.

Where a proxy inspects TLS, a container that does not trust it cannot install a package; what
the host trusts and uses has to be in the base image. Nothing is carried over that is not set.
"""

import configparser
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CERTIFICATES = (
    Path("/usr/local/share/ca-certificates"),  # Debian, Ubuntu: update-ca-certificates(8)
    Path("/etc/pki/ca-trust/source/anchors"),  # Fedora, RHEL: update-ca-trust(8)
    Path("/etc/ca-certificates/trust-source/anchors"),  # Arch
)
_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
_APT = Path("/etc/apt")
_BUNDLE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PIP = {"index-url": "PIP_INDEX_URL", "trusted-host": "PIP_TRUSTED_HOST"}


@dataclass(frozen=True)
class Extras:
    """What a base must get: certificates (PEM) with the bundle to use, pip's and apt's settings."""

    certificates: tuple[str, ...] = ()
    bundle: str = ""
    pip: tuple[tuple[str, str], ...] = ()
    apt: str = ""

    def __bool__(self):
        return bool(self.certificates or self.bundle or self.pip or self.apt)

    def digest(self) -> str:
        """A short hash of it all: a base made from other extras is out of date."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


def extras() -> Extras:
    """What this host has beyond a plain machine; falsy where there is nothing."""
    certificates = _certificates()
    return Extras(certificates, _bundle(certificates), _pip(), _apt())


def _certificates():
    files = [f for folder in _CERTIFICATES if folder.is_dir() for f in sorted(folder.rglob("*"))]
    texts = [f.read_text(errors="replace") for f in files if f.suffix in (".crt", ".pem", ".cer")]
    return tuple(text for text in texts if "BEGIN CERTIFICATE" in text)


def _bundle(certificates):
    """The whole bundle that the host's tools use: named by a variable, else the system's."""
    named = [Path(os.environ[name]) for name in _BUNDLE_VARIABLES if os.environ.get(name)]
    own = [path for path in named if path.is_file() and path.resolve() not in _system_bundles()]
    if not own and not certificates:
        return ""
    for path in (*own, *_BUNDLES):
        if path.is_file():
            return path.read_text(errors="replace")
    return "\n".join(certificates)


def _system_bundles():
    return {path.resolve() for path in _BUNDLES}


def _pip():
    """pip's mirror, as variables; a mirror on this very machine is out of a build's reach."""
    found = {}
    for file in _pip_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (OSError, configparser.Error):
            continue
        found |= {_PIP[key]: parser["global"][key] for key in _PIP if key in _section(parser)}
    found |= {name: os.environ[name] for name in _PIP.values() if os.environ.get(name)}
    far = {k: v for k, v in found.items() if not _is_here(v)}
    return tuple(sorted((k, " ".join(v.split())) for k, v in far.items()))


def _section(parser):
    return parser["global"] if parser.has_section("global") else {}


def _pip_files():
    home = Path.home()
    named = os.environ.get("PIP_CONFIG_FILE")
    return [
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
        *([Path(named)] if named else []),
    ]


def _is_here(address):
    return any(word in address for word in ("file:", "localhost", "127.0.0.1", "[::1]"))


def _apt():
    """apt's proxy, as lines of its configuration."""
    if not shutil.which("apt-config"):
        return ""
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    keys = ("Acquire::http::Proxy ", "Acquire::https::Proxy ")
    return "\n".join(line for line in lines if line.startswith(keys) and not _is_here(line))


def release() -> dict:
    """What /etc/os-release says of this host; empty where there is none."""
    file = Path("/etc/os-release")
    pairs = (line.partition("=") for line in file.read_text().splitlines()) if file.exists() else ()
    return {name: value.strip('"') for name, _, value in pairs}


def archives(codename: str) -> str:
    """The host's own lines of sources.list for its release: its mirror, and nothing else.

    Third parties' archives, whose suites have other names, are left out.
    """
    stanzas = []
    for file in sorted(_APT.glob("sources.list.d/*.sources")):
        for stanza in file.read_text().split("\n\n"):
            stanzas += [stanza.strip()] if _suits(stanza, codename) else []
    lines = _one_line_archives(codename)
    return "\n\n".join(stanzas) + "\n" if stanzas else "\n".join(lines)


def _suits(stanza, codename):
    fields = dict(
        line.split(":", 1) for line in stanza.splitlines() if ":" in line and line[0] != "#"
    )
    suites = fields.get("Suites", "").split()
    return bool(suites) and all(s.split("-")[0] == codename for s in suites)


def _one_line_archives(codename):
    files = [_APT / "sources.list", *sorted(_APT.glob("sources.list.d/*.list"))]
    found = []
    for file in files:
        for line in file.read_text().splitlines() if file.exists() else ():
            words = [w for w in line.split() if not w.startswith("[") and not w.endswith("]")]
            if words[:1] == ["deb"] and len(words) > 2 and words[2].split("-")[0] == codename:
                found.append(line.strip())
    return found
