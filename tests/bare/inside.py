"""Runs inside the bare machine: starts labkit as a learner does, and takes the time of it.

Standard library only, for nothing else is there. Prints one JSON line: see `main`.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

CLONE = Path("/root/labkit")
PORT = 8888
LIMIT_SECONDS = 900
# Every cell in order, in the notebook's own folder; the first error ends it.
EXECUTE = """
import sys, nbformat, nbclient
from pathlib import Path
lesson = Path(sys.argv[1])
client = nbclient.NotebookClient(
    nbformat.read(lesson, 4), timeout=600, resources={"metadata": {"path": str(lesson.parent)}}
)
client.execute()
print(sum(cell.cell_type == "code" for cell in client.nb.cells), "code cells")
"""


def answers() -> bool:
    """Whether JupyterLab's server answers over HTTP."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api", timeout=1) as reply:
            return reply.status == 200
    except OSError:
        return False


def timed_start() -> dict:
    """Start labkit, wait for JupyterLab's first answer, end it: seconds, and what start.py said."""
    log = Path(f"/root/start-{time.monotonic_ns()}.log")
    began = time.monotonic()
    with log.open("wb") as out:
        command = [sys.executable, "start.py", "--no-browser", "--port", str(PORT)]
        process = subprocess.Popen(command, cwd=CLONE, stdout=out, stderr=out)
        while not answers() and process.poll() is None:
            if time.monotonic() - began > LIMIT_SECONDS:
                break
            time.sleep(0.05)
    seconds = time.monotonic() - began if answers() else None
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)  # start.py has become JupyterLab
        process.wait(30)
    return {"seconds": seconds, "said": log.read_text(errors="replace")}


def timed(command) -> dict:
    """Run a command in the clone: seconds, exit code, the end of what it said."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=CLONE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = "\n".join(done.stdout.splitlines()[-25:])
    return {"seconds": time.monotonic() - began, "code": done.returncode, "said": said}


def main(lesson, with_tests):
    """The first start, the second start, one lesson, the tests; None for what was not run."""
    report = {"first": timed_start(), "second": None, "lesson": None, "tests": None}
    if report["first"]["seconds"] is not None:
        report["second"] = timed_start()
        if (CLONE / lesson).exists():
            report["lesson"] = timed([".venv/bin/python", "-c", EXECUTE, lesson])
    if with_tests:
        report["tests"] = timed([sys.executable, "start.py", "test"])
    print(json.dumps(report))


if __name__ == "__main__":
    os.environ.setdefault("HOME", "/root")
    main(sys.argv[1], "test" in sys.argv[2:])
