"""The classic builder's JSON stream -> rows (moby/moby, builder/dockerfile; and Podman's).

Docker says `Step 2/4 : RUN ...`, ` ---> Using cache`, ` ---> <image id>`; Podman says
`STEP 2/4: RUN ...`, `--> Using cache <image id>`. The stream has no time stamps: a step lasts
until the next one begins.
"""

import re

from labkit.progress import Reader

_STEP = re.compile(r"^Step (\d+)/\d+ : (\w+)")
_PODMAN_STEP = re.compile(r"^(?:\[(\d+)/\d+\] )?STEP (\d+)/\d+: (\w+)")
_IMAGE = re.compile(r"^ ?-+> ([0-9a-f]{11,64})$")
_CACHED = re.compile(r"^ ?-+> Using cache(?: ([0-9a-f]{11,64}))?$")
_NOISE = re.compile(
    r"^( ---> Running in | ---> Removed intermediate|Removing intermediate container |"
    r"Successfully (built|tagged) |COMMIT |# Executing \d+ build trigger)"
)
_BUILT = re.compile(r"^Successfully built ([0-9a-f]{12,64})$", re.M)
_EXIT_CODE = re.compile(r"returned a non-zero code: (\d+)|exit status (\d+)")


def is_log(text: str) -> bool:
    """Whether a piece of the stream is a command's own output."""
    marks = (_STEP, _PODMAN_STEP, _IMAGE, _CACHED, _NOISE)
    return bool(text.strip()) and not any(mark.match(text.rstrip("\n")) for mark in marks)


def built(text: str) -> str | None:
    """The id of the finished image, where this piece of the stream says it."""
    found = _BUILT.search(text)
    return found[1] if found else None


class ClassicReader(Reader):
    """Keeps the rows of a build by the classic builder, Docker's or Podman's."""

    def __init__(self, dockerfile, stands_in=None, target=None, _build_args=None):
        super().__init__(dockerfile, stands_in)
        self._final = dockerfile.final_stage(target)
        self._current = None

    def feed(self, at, event):
        if "labkit" in event:
            self.note(event["labkit"])
        if event.get("status") and self._current and event.get("id"):
            self._current.cached = False
        touched = self._current
        for line in event.get("stream", "").splitlines(keepends=True):
            touched = self._line(at, line) or touched
        if "error" in event:
            self._fail(at, event)
        if "aux" in event or self._current is None:
            return touched
        self._current.seconds = at - self._current.started
        return touched

    def _line(self, at, line):
        bare = line.rstrip("\n")
        row = self._begins(bare)
        if row:
            return self._begin(at, row)
        if self._current is None:
            return None
        if _CACHED.match(bare):
            self._current.cached = True
        elif not (_IMAGE.match(bare) or _NOISE.match(bare)) and (
            bare or self._current.log.last_line()
        ):
            self._current.log.add(line)
        return self._current

    def _begins(self, line):
        """The row whose step the line opens; False for a step that labkit itself added."""
        if found := _STEP.match(line):
            return self._known(self.dockerfile.instructions, found[1], found[2])
        if found := _PODMAN_STEP.match(line):
            stage = int(found[1]) - 1 if found[1] else self._final
            return self._known(self.dockerfile.stage(stage), found[2], found[3])
        return None

    def _known(self, instructions, number, keyword):
        self._close()
        position = int(number) - 1
        found = instructions[position] if position < len(instructions) else None
        fits = found and found.stage is not None and found.keyword == keyword.upper()
        return self.row(found) if fits else False

    def _close(self):
        if self._current:
            self._current.running = False
        self._current = None

    def _begin(self, at, row):
        row.started, row.running, row.reached = at, True, True
        row.cached = row.instruction.keyword == "FROM"
        self._current = row
        return row

    def _fail(self, at, event):
        message = event["error"].strip()
        self.error = message
        row = self._current
        if row is None:
            return
        detail = event.get("errorDetail") or {}
        found = _EXIT_CODE.search(message)
        code = detail.get("code") or (found and int(found[1] or found[2])) or None
        row.error, row.exit_code, row.running = message, code, False
        row.seconds = at - row.started

    def steps(self):
        self._close()
        return super().steps()
