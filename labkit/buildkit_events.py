"""BuildKit's `--progress=rawjson` events -> rows.

The objects are `client.SolveStatus` of moby/buildkit, client/graph.go. The numbers in a
vertex's name (`[2/5] RUN ...`, `[builder 2/3] COPY ...`) are set by `prefixCommand` in
frontend/dockerfile/dockerfile2llb/convert.go.
"""

import base64
import re
from dataclasses import replace
from datetime import datetime

from labkit.progress import Reader, Row, State, Step, neighbour

_NUMBERED = re.compile(r"^\[(?:(?P<stage>\S+) )? *(?P<number>\d+)/\d+\] (?P<rest>.*)", re.S)
_CONTEXT = re.compile(r"^\[context (?P<name>\S+)\] (?!load metadata)")
_METADATA = re.compile(r"load metadata for (?P<image>\S+)$")
_EXIT_CODE = re.compile(r"exit code: (\d+)")
_ERROR = re.compile(r"^ERROR: (?:failed to (?:build|solve): )*(.*)", re.M | re.S)


class BuildKitReader(Reader):
    """Keeps the rows of a BuildKit build.

    ENV, ENTRYPOINT and the other metadata have no vertex of their own: they take the state of
    the step before them, or right after FROM of the step after them.
    """

    def __init__(self, dockerfile, stands_in=None, target=None, build_args=None):
        super().__init__(dockerfile, stands_in)
        self._bases = [dockerfile.base(n, build_args) for n in range(len(dockerfile.stages))]
        self._parents = [dockerfile.base_stage(n, build_args) for n in range(len(self._bases))]
        self._at_root = dockerfile.workdirs_at_root(build_args)
        self._final = dockerfile.final_stage(target)
        self._needed = dockerfile.needed(self._final, build_args)
        self._numbers = self._number_rows()
        self._vertices: dict[str, Row | None] = {}
        self._intervals: dict[str, dict] = {}
        self._completions: dict[str, dict] = {}
        self._began: float | None = None
        self._pulled: set[int] = set()

    def _number_rows(self):
        """(stage, n) -> row, as `[n/m]` counts; FROM counts only where it is an image.

        The triggers (ONBUILD) of a stage that this one is FROM are counted, too: they are None.
        """
        numbers = {}
        for stage in range(len(self.dockerfile.stages)):
            base = self._bases[stage]
            named = self._parents[stage] is not None or base == "scratch"
            number = 1 if named or base in self.stands_in else 2
            if number == 2 or self._parents[stage] is None:
                numbers[stage, 1] = self.row(self.dockerfile.stage(stage)[0])
            for _trigger in self.dockerfile.triggers(self._parents[stage]):
                numbers[stage, number] = None
                number += 1
            for instruction in self.dockerfile.stage(stage):
                if instruction.changes_files and instruction not in self._at_root:
                    numbers[stage, number] = self.row(instruction)
                    number += 1
        return numbers

    def feed(self, at, event):
        touched = None
        if "labkit" in event:
            self.note(event["labkit"])
        for vertex in event.get("vertexes") or ():
            touched = self._vertex(vertex) or touched
        for status in event.get("statuses") or ():
            self._status(status)
        for log in event.get("logs") or ():
            touched = self._log(log) or touched
        return touched

    def note(self, event):
        if event.get("stderr"):
            found = _ERROR.search(event["stderr"])
            event = {**event, "stderr": found[1].strip() if found else event["stderr"].strip()}
        super().note(event)

    def _find(self, vertex) -> Row | None:
        if vertex["digest"] not in self._vertices:
            self._vertices[vertex["digest"]] = self._match(vertex["name"])
        return self._vertices[vertex["digest"]]

    def _match(self, name):
        if found := _CONTEXT.match(name):
            return self._from(found["name"])
        found = _NUMBERED.match(name)
        if not found:
            return None
        stage = self._stage(found["stage"])
        self._has_step(stage, found["rest"])
        place = stage, int(found["number"])
        row = self._numbers.get(place)
        if row is None and place in self._numbers:
            return None
        if found["rest"].startswith("FROM"):
            return self.row(self.dockerfile.stage(stage)[0])
        return self._same_text(stage, found["rest"], row)

    def _has_step(self, stage, text):
        """A relative WORKDIR that was taken for / has a step where the base has a WORKDIR of its own."""
        told = {i for i in self._at_root if i.stage == stage and i.words() == text.split()}
        if told:
            self._at_root -= told
            self._numbers = self._number_rows()
            self._vertices.clear()

    def _same_text(self, stage, text, row):
        """The row with this text, else the one with this number where the keyword fits.

        Numbers alone mislead where the base has ONBUILD triggers, which BuildKit counts too.
        """
        keyword, _space, arguments = text.partition(" ")
        words = [keyword, *arguments.split()]
        of_stage = [r for r in self.rows if r.instruction.stage == stage]
        same = [r for r in of_stage if r.instruction.words() == words]
        if same and row not in same:
            return same[0] if len(same) == 1 else None
        return row if row and row.instruction.keyword == keyword else None

    def _stage(self, name):
        names = self.dockerfile.stages
        if name and name.lower() in names:
            return names.index(name.lower())
        return self._final if len(names) > 1 else 0

    def _from(self, image):
        """The row of the first FROM with this image, as written or with its full name."""
        for stage in range(len(self.dockerfile.stages)):
            base = self._bases[stage]
            if image in (base, f"{base}:latest") or image.split("@")[0].endswith(
                (f"/{base}", f"/{base}:latest")
            ):
                return self.row(self.dockerfile.stage(stage)[0])
        return None

    def _vertex(self, vertex):
        row, error = self._find(vertex), vertex.get("error", "")
        if row is None and error and (found := _METADATA.search(vertex["name"])):
            row = self._from(found["image"])
        if row is None:
            return None
        self._time(row, vertex)
        if vertex.get("completed"):
            row.reached, row.running = True, False
            row.cached = self._last_is_cached(vertex) or self._was_here(row)
        if error and "context canceled" in error:
            row.reached = False
        elif error:
            self._fail(row, error)
        return row

    def _last_is_cached(self, vertex):
        """Whether the completion with the latest time is a cached one.

        A vertex may be told as cached while it still runs, when another step breaks the build
        off, and looks up its inputs' contents before it is found in the cache.
        """
        ended = self._completions.setdefault(vertex["digest"], {})
        stamp = _seconds(vertex["completed"])
        ended[stamp] = ended.get(stamp, False) or vertex.get("cached", False)
        return ended[max(ended)]

    def _was_here(self, row):
        """FROM takes what is in the engine, unless the base had to be pulled first."""
        return row.instruction.keyword == "FROM" and id(row) not in self._pulled

    def _fail(self, row, error):
        row.error = error
        code = _EXIT_CODE.search(error)
        row.exit_code = int(code[1]) if code else None

    def _time(self, row, vertex):
        """A vertex may start and complete several times: its seconds are the sum."""
        if not vertex.get("started"):
            return
        started = _seconds(vertex["started"])
        self._began = self._began or started
        intervals = self._intervals.setdefault(vertex["digest"], {})
        completed = vertex.get("completed")
        intervals[started] = _seconds(completed) if completed else None
        row.running = not completed
        row.started = min(intervals) - self._began
        row.seconds = sum(end - start for start, end in intervals.items() if end)

    def _status(self, status):
        row = self._vertices.get(status["vertex"])
        if row and row.instruction.keyword == "FROM" and status.get("total"):
            self._pulled.add(id(row))
            row.cached = False

    def _log(self, log):
        row = self._vertices.get(log["vertex"])
        if row:
            row.log.add(base64.b64decode(log["data"]).decode(errors="replace"))
        return row

    def steps(self):
        steps, rows = [], self._told_first()
        for stage in range(len(self.dockerfile.stages)):
            steps += self._steps([row for row in rows if row.instruction.stage == stage])
        return tuple(steps)

    def _told_first(self):
        """The rows, where of equal steps of two stages the first has what was told.

        They are one vertex, and by chance it bears the name of the one or of the other: the
        inputs of an operation are walked in the order of a Go map (client/llb/fileop.go, Inputs).
        """
        rows = list(self.rows)
        for place, row in enumerate(rows):
            twin = next((p for p in range(place + 1, len(rows)) if self._twins(row, rows[p])), None)
            if twin is not None:
                told = rows[twin]
                rows[place] = replace(told, instruction=row.instruction)
                rows[twin] = Row(told.instruction)
        return rows

    def _twins(self, row, other):
        same = row.instruction.words() == other.instruction.words()
        elsewhere = row.instruction.stage != other.instruction.stage
        return other.reached and same and elsewhere and self._shared(row)

    def _steps(self, rows) -> list[Step]:
        states = [self._from_state(rows)]
        for row in rows[1:]:
            if row.instruction.is_metadata or row.instruction in self._at_root:
                states.append(None)
            else:
                states.append(self._shared(row) or row.state())
        if self.error:
            states = _without_guesses(states)
        return [row.step(s) for row, s in zip(rows, _fill(states))]

    def _shared(self, row) -> State | None:
        """CACHED for a step that BuildKit did not tell of, in a build that came to its end.

        Equal steps of two stages are one vertex, told once, under the name of one of them.
        """
        told = row.reached or row.running or row.error or self.error
        if row.instruction.is_metadata or row.instruction in self._at_root:
            return None
        return State.CACHED if not told and row.instruction.stage in self._needed else None

    def _from_state(self, rows) -> State:
        """The state of FROM; scratch and another stage have no vertex, but are there at once."""
        row = rows[0]
        if row.reached or row.error:
            return row.state()
        used = row.instruction.stage in self._needed and not self.error
        return State.CACHED if used or any(r.reached or r.error for r in rows) else row.state()


def _without_guesses(states):
    """The states of a build that was broken off, without what BuildKit then guesses.

    It calls a step cached that it was not to get to any more; but no step comes from the cache
    below one that ran or was not reached.
    """
    held, states = True, list(states)
    for position, state in enumerate(states):
        if state is State.CACHED and not held:
            states[position] = State.NOT_REACHED
        held = held and state in (State.CACHED, None)
    return states


def _fill(states):
    """Give the steps without a vertex the state of their neighbour."""
    filled = [states[0]]
    for position, state in enumerate(states[1:], 1):
        filled.append(state or neighbour(filled, filter(None, states[position:])))
    return filled


def _seconds(stamp: str) -> float:
    """RFC 3339 with up to nine digits of a second -> seconds since 1970."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")
