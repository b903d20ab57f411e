"""Set labkit up and open JupyterLab on the first lesson.

    python3 start.py            set up what is missing, then open JupyterLab
    python3 start.py test       set up what is missing, then pass the tests
    python3 start.py doctor     say what works and what does not
    python3 start.py stop       stop the private engine that labkit started

Standard library only, Python 3.10 or newer. It may be run again at any time: it resumes where it
was cut off and does nothing twice. Linux; written for macOS and Windows too, but untested there.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 (the first words that an older Python must understand)
    sys.exit("labkit needs Python 3.10 or newer; this is Python " + sys.version.split()[0])

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

TOP = Path(__file__).resolve().parent
sys.path.insert(0, str(TOP))  # `python -I` leaves the script's folder out

from labkit import host, packages, private  # noqa: E402
from labkit.errors import LabkitError  # noqa: E402
from labkit.terminal import Steps, run_logged  # noqa: E402
from labkit.words import _, language  # noqa: E402

VENV = TOP / ".venv"
LOCK = TOP / "requirements.txt"
STAMP = VENV / "labkit.json"  # written last: what is installed, and for which Python
WINDOWS = os.name == "nt"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
# No pop-up that asks a learner about news and updates of JupyterLab.
QUIET = {
    "@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}
}


def log_file() -> Path:
    """The log of what the programs say that set-up runs."""
    private.home().mkdir(parents=True, exist_ok=True)
    return private.home() / "start.log"


# The virtual environment


def wanted() -> dict:
    """What the stamp says when all is installed: the lock, and the Python in use (Debian's real
    path ends in its version, so a Python that was replaced is noticed without running it)."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return {"requirements": digest, "python": os.path.realpath(PYTHON)}


def ready() -> bool:
    """Whether set-up was done to its end, for this lock and this Python."""
    try:
        return PYTHON.exists() and json.loads(STAMP.read_text()) == wanted()
    except (OSError, ValueError):
        return False


def usable() -> bool:
    """Whether a virtual environment is there that can be mended rather than made anew."""
    test = "import sys, pip; sys.exit(sys.version_info < (3, 10))"
    try:
        return subprocess.run([PYTHON, "-c", test], capture_output=True).returncode == 0
    except OSError:
        return False


def make_venv(steps):
    """The virtual environment with the locked packages: with uv where it is on PATH, else pip.

    uv does not follow pip's configuration: where that names a mirror, pip does the work.
    """
    STAMP.unlink(missing_ok=True)
    uv = None if host.extras().pip else shutil.which("uv")
    if uv and with_uv(uv, steps):
        return
    if usable():
        drop_half_installed()
    else:
        need_ensurepip(steps)
        with steps.step(_("making a virtual environment")):
            run_logged([sys.executable, "-m", "venv", "--clear", VENV], log_file())
    # The lock is complete: no look for dependencies. Compiled later, while the engine is set up.
    options = ["--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check"]
    command = [PYTHON, "-m", "pip", "install", *options, "-r", LOCK]
    with steps.step(_("installing Python packages (pip)")):
        run_logged(command, log_file(), trusting())


def site_packages() -> Path:
    """The folder of the virtual environment's packages."""
    return next(VENV.glob("Lib/site-packages" if WINDOWS else "lib/python3*/site-packages"))


def drop_half_installed():
    """Forget packages whose installation was cut off: pip writes RECORD last, but believes the
    folder's METADATA that a package is there."""
    for folder in site_packages().glob("*.dist-info"):
        if not (folder / "RECORD").exists():
            shutil.rmtree(folder)


def with_uv(uv, steps) -> bool:
    """The same with uv; False if it fails, for pip may do better."""
    install = [uv, "pip", "install", "--no-deps", "--python", PYTHON, "-r", LOCK]
    try:
        with steps.step(_("installing Python packages (uv)")):
            if not usable():
                command = [uv, "venv", "--clear", "--seed", "--python", sys.executable, VENV]
                run_logged(command, log_file(), trusting())
            run_logged(install, log_file(), trusting())
    except LabkitError:
        return False
    return True


def trusting() -> dict:
    """The environment for pip and uv, which bring their own list of certificates: with the
    system's where that holds more, as behind a proxy that inspects TLS."""
    environment, bundle = dict(os.environ), host.extras().bundle
    if bundle and "PIP_CERT" not in os.environ:
        file = private.home() / "certificates.pem"
        file.write_text(bundle)
        environment |= {"PIP_CERT": str(file), "SSL_CERT_FILE": str(file)}
    return environment


def need_ensurepip(steps):
    """Debian and Ubuntu keep ensurepip in a package of its own: install it, or name it."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if not packages.may_install():
        raise LabkitError(
            _("Python cannot make a virtual environment: ensurepip is missing."),
            _("Debian and Ubuntu keep it in the package {package}.").format(package=package),
            _("Run this, then try again: {line}").format(
                line=f"sudo apt-get update && sudo apt-get install -y {package}"
            ),
        )
    with steps.step(_("installing {packages} (apt)").format(packages=package)):
        packages.apt_install([package], log=log_file())
    importlib.invalidate_caches()


def finish_venv():
    """Make labkit importable without a build, keep JupyterLab quiet, and write the stamp."""
    site = site_packages()
    (site / "labkit-lessons.pth").write_text(os.path.relpath(TOP, site) + "\n", encoding="utf-8")
    settings = VENV / "share/jupyter/lab/settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(json.dumps(QUIET))
    STAMP.write_text(json.dumps(wanted()))


def compile_aside():
    """Compile the packages while the engine is made ready, for a quick start of JupyterLab."""
    command = [PYTHON, "-m", "compileall", "-q", "-j", "0", VENV]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# The engine


def engine_at_hand() -> bool:
    """Whether there are signs of an engine; `labkit setup` finds out which it is."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "/run/user/none")
    sockets = ["/var/run/docker.sock", "/run/podman/podman.sock"]
    sockets += [f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock"]
    with contextlib.suppress(OSError):
        if "currentContext" in (Path.home() / ".docker/config.json").read_text():
            return True
    return "DOCKER_HOST" in os.environ or any(map(os.path.exists, sockets))


def private_engine(steps):
    """Install the private engine and start it, while pip installs. A failure is told later, by
    `labkit setup`, which cannot do without."""
    with contextlib.suppress(LabkitError):
        if packages.missing_packages() or packages.half_installed():
            with steps.step(_("installing an engine (apt)")):
                packages.install(log=log_file())
        if not engine_at_hand():  # with systemd, the package has started the system's engine
            with steps.step(_("starting the private engine")):
                private.start()


def set_up(steps) -> bool:
    """All but the base image; True if Python packages were installed."""
    done, aside = ready(), None
    if not done:
        steps.say(_("Setting labkit up. It is done once and takes a few minutes."))
    if packages.may_install() and not engine_at_hand() and not private.running():
        if not (done or usable() or shutil.which("uv")):
            need_ensurepip(steps)  # first, for apt does one thing at a time, and pip waits for it
        aside = threading.Thread(target=private_engine, args=[steps], daemon=True)
        aside.start()
    with private.locked("start.lock"):  # held by another start.py? Then it is done after that
        if not ready():
            make_venv(steps)
            finish_venv()
    if aside:
        aside.join()
    return not done


def engine_host(steps) -> str | None:
    """Where the engine is that `labkit setup` found or made ready; None if it explained why not."""
    command = [PYTHON, "-m", "labkit", "setup"]
    speech = {**os.environ, "PYTHONIOENCODING": "utf-8"}  # whatever the terminal's is
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with contextlib.suppress(ValueError, LookupError, TypeError):
        with steps.step(_("making the engine and the base image ready")):
            with subprocess.Popen(command, cwd=TOP, env=speech, **pipes) as setup:
                for line in setup.stderr:
                    steps.say(line.rstrip())
                return json.loads(setup.stdout.read().splitlines()[-1])["docker_host"]
    return None


# The commands


def lab(options, steps) -> int:
    """Set up, then become JupyterLab."""
    compiling = compile_aside() if set_up(steps) else None
    address = engine_host(steps)
    if address is None:
        steps.say(_("Without an engine the lessons can be read, but nothing can be built."))
    if compiling:
        compiling.wait()
    command = [
        *(PYTHON, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", "--log-level=WARN"),
        f"--ServerApp.root_dir={TOP}",
        f"--LabApp.default_url=/lab/tree/notebooks/{language()}/00-start.ipynb",
        *([f"--ServerApp.port={options.port}"] if options.port else []),
        *(["--no-browser"] if options.no_browser else []),
        *(["--allow-root"] if not WINDOWS and os.geteuid() == 0 else []),
    ]
    return become(command, address)


def test(options, steps) -> int:
    """Set up, then pass the tests; what stands after `test` is for pytest."""
    set_up(steps)
    address = engine_host(steps)
    if address is None and os.environ.get("CI") == "true":
        steps.say(_("There is no engine; in CI that is a failure."))
        return 1
    return become([PYTHON, "-m", "pytest", *options.rest], address)


def doctor(options, steps) -> int:
    """Say what works and what does not; change nothing."""
    if not ready():
        steps.say(_("labkit is not set up yet. Run: {line}").format(line="python3 start.py"))
        return 1
    return become([PYTHON, "-m", "labkit", "doctor"], None)


def stop(options, steps) -> int:
    """Stop the private engine that labkit started, and nothing else."""
    with steps.step(_("stopping the private engine")):
        was_there = private.stop()
    if not was_there:
        steps.say(_("No private engine was running."))
    return 0


def become(command, address) -> int:
    """Run a program of the virtual environment in the place of this one (Windows: beside it)."""
    values = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    values["PATH"] = os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", os.defpath)])
    if address:
        values["DOCKER_HOST"] = address  # for the terminals of JupyterLab
    words = [str(word) for word in command]
    os.chdir(TOP)
    if WINDOWS:
        return subprocess.call(words, env=values)
    os.execve(words[0], words, values)


COMMANDS = {"lab": lab, "test": test, "doctor": doctor, "stop": stop}


def parse(arguments):
    """The options; after `test`, what argparse does not know belongs to pytest."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=layout, allow_abbrev=False
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="lab")
    parser.add_argument("--lang", choices=["ru", "en"], help="the language of labkit's words")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--port", type=int, help="the port of JupyterLab (8888)")
    options, options.rest = parser.parse_known_args(arguments)
    if options.rest and options.command != "test":
        parser.error("unknown: " + " ".join(options.rest))
    return options


def main(arguments) -> int:
    """Do what the arguments say; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # Russian words on a terminal that has no Russian
    options = parse(arguments)
    if options.lang:
        os.environ["LABKIT_LANG"] = options.lang
    steps = Steps(sys.stderr)
    try:
        return COMMANDS[options.command](options, steps)
    except LabkitError as error:
        steps.say("\n".join(filter(None, [error.stderr, str(error)])))
    except KeyboardInterrupt:
        steps.say(_("Interrupted. Run start.py again: it resumes here."))
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
