"""Try labkit on a bare Debian with nothing but python3 and git, and say what the time went on.

    python tests/bare/machine.py --suite bookworm --suite trixie [--test] [--keep]

For maintainers; see README.md beside this file. Needs mmdebstrap, and a running engine that may
run privileged containers (`DOCKER_HOST`).
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(TOP))

from labkit import host  # noqa: E402

CERTIFICATES = Path("/usr/local/share/ca-certificates")
LESSON = "notebooks/en/02-dockerfile.ipynb"
PACKAGES = "python3,git"
CLONE = "rm -rf /root/labkit && git clone -q /source /root/labkit"


def docker(*words, **options) -> str:
    """What a docker command prints; its errors go to the terminal."""
    options = {"stdout": subprocess.PIPE, "text": True, "check": True, **options}
    return subprocess.run(["docker", *words], **options).stdout.strip()


def make_image(suite: str) -> str:
    """An image of a bare Debian, made once for each suite; "labkit-bare:SUITE"."""
    name = f"labkit-bare:{suite}"
    if docker("image", "ls", "-q", name):
        return name
    print(f"making {name}", file=sys.stderr)
    own_mirror = host.archives(suite)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "root.tar")
        sources = Path(folder, "mirror.sources" if "Types:" in own_mirror else "mirror.list")
        sources.write_text(own_mirror)
        command = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", suite, archive]
        subprocess.run([*command, *([sources] if own_mirror else [])], check=True)
        docker("import", str(archive), name)
    return name


def copy_tree(folder: Path) -> None:
    """A repository in `folder` with the working tree as it is, what is not committed included."""
    listed = ["git", "-C", TOP, "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (TOP / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, folder / name)
    git = ["git", "-C", folder, "-c", "user.name=bare", "-c", "user.email=bare@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "The working tree"]):
        subprocess.run([*git, *words], check=True)


def run_machine(image: str, source: Path) -> str:
    """Start a privileged container of the image; its id.

    It gets only what this host needs itself to reach the network: extra certificates, mirrors.
    """
    machine = docker(
        *("run", "-d", "--init", "--privileged", "--label", "labkit-bare"),
        *("-v", f"{source}:/source:ro", image, "sleep", "infinity"),
    )
    extras = host.extras()
    if extras.certificates:
        docker("exec", machine, "mkdir", "-p", str(CERTIFICATES.parent))
        docker("cp", str(CERTIFICATES), f"{machine}:{CERTIFICATES}")
    for text, file in [
        (extras.apt, "/etc/apt/apt.conf.d/90host"),
        (
            "\n".join(["[global]", *map(_pip_line, extras.pip)]) if extras.pip else "",
            "/etc/pip.conf",
        ),
    ]:
        if text:
            docker("exec", "-i", machine, "sh", "-c", f"cat > {file}", input=text + "\n")
    return machine


def _pip_line(pair) -> str:
    return f"{pair[0].removeprefix('PIP_').lower().replace('_', '-')} = {pair[1]}"


def try_out(suite: str, with_tests: bool, keep: bool) -> dict:
    """The whole trial on one Debian; the report of inside.py."""
    image = make_image(suite)
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        machine = run_machine(image, Path(folder))
        try:
            docker("exec", machine, "sh", "-c", CLONE)
            words = ["exec", "-i", machine, "python3", "-", LESSON, *(["test"] * with_tests)]
            with open(HERE / "inside.py") as script:
                return json.loads(docker(*words, stdin=script).splitlines()[-1])
        finally:
            if not keep:
                docker("rm", "-f", "-v", machine)


def show(suite: str, report: dict) -> bool:
    """Print what the time was spent on; whether all went well."""
    first, second = report["first"], report["second"]
    print(f"\n{suite}\n")
    for seconds, name in re.findall(r"^ *([\d.]+) s  (.+)$", first["said"], re.MULTILINE):
        print(f"{float(seconds):8.1f} s    {name}")
    rows = [("first start to the first answer", first), ("second start", second)]
    rows += [(LESSON, report["lesson"]), ("python3 start.py test", report["tests"])]
    well = True
    for name, part in rows:
        failed = part and (part["seconds"] is None or part.get("code"))
        well = well and not failed
        seconds = f"{part['seconds']:8.1f} s" if part and part["seconds"] else f"{'-':>10}"
        last = part["said"].strip().splitlines()[-1:] if part and "code" in part else []
        print(f"{seconds}  {name}", *last, sep="  ")
        if failed:
            print("FAILED\n" + part["said"])
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", action="append", choices=["bookworm", "trixie"])
    parser.add_argument("--test", action="store_true", help="pass the tests there too")
    parser.add_argument("--keep", action="store_true", help="keep the container")
    options = parser.parse_args()
    suites = options.suite or ["bookworm", "trixie"]
    # One after the other: two at once would share the processors, and time nothing.
    return 0 if all([show(s, try_out(s, options.test, options.keep)) for s in suites]) else 1


if __name__ == "__main__":
    sys.exit(main())
