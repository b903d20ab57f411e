"""`Build`: one build, read from its Recording; comparison of two builds.

`read` is pure: a live build, a saved one and a test go through the same code.
"""

from dataclasses import dataclass, field

from labkit import dockerfile as dockerfiles
from labkit import layers, units, views, whys
from labkit.buildkit_events import BuildKitReader
from labkit.classic_events import ClassicReader
from labkit.dockerfile import Dockerfile, Instruction
from labkit.errors import LabkitError
from labkit.layers import Layer
from labkit.problems import explain
from labkit.progress import State, Step
from labkit.reasons import Reason
from labkit.recording import Recording
from labkit.words import _

READERS = {"buildkit": BuildKitReader, "classic": ClassicReader}


@dataclass(frozen=True, repr=False)
class Build:
    """One build: what each step did, and the image with its layers.

    `image_id` is None and `layers` is empty where the build failed; `problem` then says in
    three parts what failed. `seconds` is the time from the start to the image in the engine.
    `reasons` says of each step why it was cached or ran; it is empty where the build before is
    not known.
    """

    tag: str
    builder: str
    dockerfile: Dockerfile
    steps: tuple[Step, ...]
    layers: tuple[Layer, ...]
    image_id: str | None
    seconds: float
    problem: LabkitError | None = None
    recording: Recording | None = field(default=None, compare=False)
    reasons: tuple[Reason, ...] = field(default=(), compare=False)

    @property
    def ok(self) -> bool:
        """Whether there is an image."""
        return self.image_id is not None

    @property
    def failed(self) -> Step | None:
        """The step that failed."""
        return next((s for s in self.steps if s.state is State.FAILED), None)

    @property
    def size_bytes(self) -> int:
        """The sum of the layers."""
        return sum(layer.size_bytes for layer in self.layers)

    def why(self, step: Step | Instruction | int | None = None):
        """Why a step (itself, its instruction, or its number from 1) ran or was cached.

        It is told beside the build before it in this lab. Without a step: a table of all. Raises
        InputError where there is no such step, or nothing is known of the build before.
        """
        if not self.reasons:
            raise whys.nothing_known()
        if step is None:
            return whys.Reasons(self.steps, self.reasons)
        return self.reasons[whys.place(self.steps, step)]

    def states(self) -> tuple[str, ...]:
        """The states of the steps as words, in their order."""
        return tuple(step.state.value for step in self.steps)

    def outcomes(self) -> dict[Instruction, State]:
        """How each instruction ended."""
        return {step.instruction: step.state for step in self.steps}

    def __repr__(self):
        outcome = "ok" if self.ok else "failed"
        return f"<Build {self.tag or '-'}: {len(self.steps)} steps, {outcome}>"

    def __str__(self):
        return text(self)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": text(self), "text/html": page(self)}


def reader(recording: Recording):
    """An empty reader for the recording's builder and Dockerfile."""
    r = recording
    parsed = dockerfiles.parse(r.dockerfile)
    return READERS[r.builder](parsed, r.stands_in, r.target, r.build_args)


def read(recording: Recording) -> Build:
    """The Build that a recording tells of."""
    filled = reader(recording)
    for at, event in recording.events:
        filled.feed(at, event)
    steps = filled.steps()
    image = recording.image
    return Build(
        tag=recording.tag,
        builder=recording.builder,
        dockerfile=filled.dockerfile,
        steps=steps,
        layers=_layers(recording, filled.dockerfile) if image else (),
        image_id=image["Id"] if image else None,
        seconds=recording.seconds,
        problem=None if image else explain(steps, filled.error),
        recording=recording,
    )


def _layers(recording, dockerfile):
    found = layers.rows(recording.history, recording.image, recording.layer_counts)
    final = dockerfile.final_stage(recording.target)
    return layers.join(found, dockerfile.chain(final, recording.build_args))


@dataclass(frozen=True)
class Comparison:
    """Two builds laid side by side: the layers they share, and those of one alone."""

    shared: tuple[Layer, ...]
    only_a: tuple[Layer, ...]
    only_b: tuple[Layer, ...]


def compare(a: Build, b: Build) -> Comparison:
    """What the images of two builds have in common: layers are shared by digest.

    An image shares another's layers from the bottom up: the same digest above a layer that
    differs is not shared on disk (the engine keys a layer by its whole chain of diff_ids).
    """
    first = [layer for layer in a.layers if layer.digest]
    second = [layer for layer in b.layers if layer.digest]
    count = 0
    while count < min(len(first), len(second)) and first[count].digest == second[count].digest:
        count += 1
    return Comparison(tuple(first[:count]), tuple(first[count:]), tuple(second[count:]))


def text(build: Build) -> str:
    """The build as plain text, of one stable form."""
    stands_in = build.recording.stands_in if build.recording else {}
    rows = [
        (
            n,
            views.state_word(s.state.value),
            views.short(views.instruction(s.instruction, stands_in)),
        )
        for n, s in enumerate(build.steps, 1)
    ]
    parts = [_title(build), views.text_table(rows)]
    if build.failed:
        parts.append(_last_lines(build.failed))
    if build.problem:
        parts.append(str(build.problem))
    return "\n".join(part for part in parts if part)


def _title(build):
    name = build.tag or _("image without a name")
    title = _("{name}: built") if build.ok else _("{name}: the build failed")
    replay = build.recording and build.recording.replay
    return title.format(name=name) + (_(" (replay of a recording)") if replay else "")


def _last_lines(step, count=8):
    return "\n".join(step.log.rstrip().splitlines()[-count:])


def page(build: Build) -> str:
    """The build as HTML: each step with its state, time and size."""
    stands_in = build.recording.stands_in if build.recording else {}
    head = ("", _("instruction"), _("state"), _("time"), _("size"))
    rows = [_row(n, s, build, stands_in) for n, s in enumerate(build.steps, 1)]
    parts = [views.paragraph(_summary(build)), views.table(head, rows, right=(0, 3, 4))]
    if build.problem:
        lines = _last_lines(build.failed) if build.failed else ""
        parts.append(views.alert("\n".join(filter(None, [lines, str(build.problem)]))))
    return views.box(*parts)


def _row(number, step, build, stands_in):
    own = [layer for layer in build.layers if layer.instruction == step.instruction]
    size = units.size(sum(layer.size_bytes for layer in own)) if own else ""
    return (
        number,
        views.code(views.instruction(step.instruction, stands_in)),
        views.state(step.state.value),
        units.duration(step.seconds),
        _("metadata") if step.instruction.is_metadata and own else size,
    )


def _summary(build):
    facts = [units.duration(build.seconds)]
    if build.ok:
        facts.append(units.size(build.size_bytes))
    return f"{_title(build)} ({', '.join(facts)})"
