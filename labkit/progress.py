"""What a builder says while it works -> `Step`s, one for each instruction.

A `Reader` is fed the builder's events in their order, live or from a recording; its rows are
the state of every step at that moment. BuildKit and the classic builder speak differently:
`buildkit_events.py` and `classic_events.py` know how.
"""

import enum
import re
from collections import deque
from dataclasses import dataclass, field

from labkit.dockerfile import Dockerfile, Instruction

TAIL_BYTES = 64_000
"""How much of the end of a step's log is kept, in bytes of text."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class State(enum.Enum):
    """How a step ended."""

    RAN = "RAN"
    CACHED = "CACHED"
    FAILED = "FAILED"
    NOT_REACHED = "NOT_REACHED"


def neighbour(above, below) -> State | None:
    """The state of a step that the builder has none for, such as metadata on BuildKit.

    It is that of the step above it, or right after FROM of the step below; `above` are the
    states down to it, FROM first, `below` those further down that the builder has.
    """
    last = above[-1]
    if last in (State.FAILED, State.NOT_REACHED):
        return State.NOT_REACHED
    if len(above) > 1:
        return last
    following = next(iter(below), State.CACHED)
    return State.RAN if following is State.FAILED else following


@dataclass(frozen=True)
class Step:
    """One instruction as the builder carried it out.

    `seconds` is None for a step that did not run, and for metadata that BuildKit writes without
    saying how long it takes. `log` is the tail of what it printed, and
    `dropped_bytes` how much stood before it. `exit_code` is None unless a command failed.
    """

    instruction: Instruction
    state: State
    seconds: float | None = None
    log: str = ""
    dropped_bytes: int = 0
    exit_code: int | None = None
    error: str = ""


class Tail:
    """The end of a text that may be far too long to keep."""

    def __init__(self, limit_bytes: int = TAIL_BYTES):
        self._parts, self._limit, self._bytes = deque(), limit_bytes, 0
        self.dropped_bytes = 0

    def add(self, text: str) -> None:
        self._parts.append(text)
        self._bytes += len(text)
        while self._bytes > self._limit and len(self._parts) > 1:
            gone = len(self._parts.popleft())
            self._bytes, self.dropped_bytes = self._bytes - gone, self.dropped_bytes + gone

    def text(self) -> str:
        """The text without colours, and of a progress bar its last state alone."""
        clean = _ANSI.sub("", "".join(self._parts)).replace("\r\n", "\n")
        return "\n".join(line.rsplit("\r", 1)[-1] for line in clean.split("\n"))

    def last_line(self) -> str:
        """The last line that is not empty."""
        end = _ANSI.sub("", "".join(list(self._parts)[-4:])).replace("\r", "\n")
        return end.rstrip().rsplit("\n", 1)[-1].strip()


@dataclass
class Row:
    """One step while the builder is at work; `started` is in seconds since the build began."""

    instruction: Instruction
    started: float | None = None
    seconds: float = 0.0
    running: bool = False
    reached: bool = False
    cached: bool = False
    exit_code: int | None = None
    error: str = ""
    log: Tail = field(default_factory=Tail)

    def state(self) -> State:
        """The state so far; a step that still runs counts as NOT_REACHED."""
        if self.error:
            return State.FAILED
        if not self.reached or self.running:
            return State.NOT_REACHED
        return State.CACHED if self.cached else State.RAN

    def step(self, state: State) -> Step:
        ran = state in (State.RAN, State.FAILED) and self.started is not None
        return Step(
            instruction=self.instruction,
            state=state,
            seconds=self.seconds if ran else None,
            log=self.log.text(),
            dropped_bytes=self.log.dropped_bytes,
            exit_code=self.exit_code,
            error=self.error,
        )


class Reader:
    """Takes in events and keeps a `Row` for each instruction below the first FROM.

    `error` is what the builder said of a failure, "" while all is well.
    """

    def __init__(self, dockerfile: Dockerfile, stands_in: dict | None = None):
        self.dockerfile, self.stands_in = dockerfile, stands_in or {}
        self.rows = [Row(i) for i in dockerfile.instructions if i.stage is not None]
        self.error = ""

    def row(self, instruction: Instruction) -> Row:
        return next(row for row in self.rows if row.instruction is instruction)

    def feed(self, at: float, event: dict) -> Row | None:
        """Take in one event that came `at` seconds; the row it speaks of, if any."""
        raise NotImplementedError

    def steps(self) -> tuple[Step, ...]:
        """The steps as they stand."""
        return tuple(row.step(row.state()) for row in self.rows)

    def note(self, event: dict) -> None:
        """Take in what labkit itself noticed: bytes left out of a log, the last words."""
        if "dropped_bytes" in event:
            position = event["step"]
            self.rows[position].log.dropped_bytes += event["dropped_bytes"]
        if event.get("stderr") and not self.error:
            self.error = event["stderr"]
