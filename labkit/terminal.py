"""Steps that take a while, shown in a terminal; standard library only."""

import contextlib
import shutil
import subprocess
import threading
import time
from pathlib import Path

from labkit.errors import LabkitError
from labkit.words import _


class Steps:
    """Shows what runs and since when.

    On a terminal one line is redrawn; elsewhere there is one line at a step's start, one at its
    end. Steps may overlap: they are shown side by side.
    """

    def __init__(self, out):
        self.out, self.running, self.lock = out, {}, threading.Lock()
        self.live = out.isatty()
        if self.live:
            threading.Thread(target=self._tick, daemon=True).start()

    @contextlib.contextmanager
    def step(self, name):
        """Show the step `name` while the block runs."""
        began = time.monotonic()
        with self.lock:
            self.running[name] = began
            if not self.live:
                self._write(f"{'...':>8}  {name}\n")
        done = _("failed")
        try:
            yield
            done = f"{time.monotonic() - began:.1f} s"
        finally:
            with self.lock:
                del self.running[name]
                self._write(f"{done:>8}  {name}\n")

    def say(self, text):
        """Show a line that stays."""
        with self.lock:
            self._write(f"{text}\n")

    def _write(self, text):
        self.out.write(("\r\x1b[K" if self.live else "") + text)
        self.out.flush()

    def _tick(self):
        while True:
            time.sleep(0.5)
            with self.lock:
                now = time.monotonic()
                line = ", ".join(f"{name} {now - t:.0f} s" for name, t in self.running.items())
                if line:
                    self._write(line[: shutil.get_terminal_size().columns - 1])


def run_logged(command, log: Path, environment=None) -> None:
    """Run a program with its output in the log; a LabkitError with the log's end if it fails."""
    words = [str(word) for word in command]
    with open(log, "ab") as out:
        out.write(f"\n$ {' '.join(words)}\n".encode())
        out.flush()
        done = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    if done.returncode:
        raise LabkitError(
            _("{program} failed.").format(program=Path(words[0]).name),
            " ".join(words),
            _("Read {log}, then try again.").format(log=log),
            command=" ".join(words),
            stderr=tail(log),
        )


def tail(log: Path | None, lines: int = 20) -> str:
    """The last lines of a log; "" where there is none."""
    if log is None or not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
