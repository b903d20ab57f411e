"""What the classic builder's cache remembers: images, and which image was made of which.

A step is found where an image made of the one below it was made by the same words; of several
the newest. The first step that is not found ends the search until the next FROM.

Source: moby/moby, builder/dockerfile/imageprobe.go and daemon/images/cache.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.classic_rules import operations
from labkit.files import mark
from labkit.outcomes import Explainer, Outcome, base_below, seen
from labkit.progress import State
from labkit.reasons import Reason, Rule
from labkit.recipes import Recipe

_SCRATCH = "scratch"


@dataclass(frozen=True)
class ClassicMemory:
    """All images that the builds so far have left.

    `children` leads from (image below, the step's words, its files) to the newest image.
    """

    children: Mapping[tuple, str] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    last: tuple[Outcome, ...] = ()
    builds: int = 0

    def judge(self, recipe: Recipe) -> tuple[Outcome, ...]:
        """What each operation of the recipe will come to."""
        return _Walk(self, operations(recipe)).judge()

    def learn(self, recipe: Recipe, states: Mapping | None) -> "ClassicMemory":
        """The memory after a build of the recipe whose steps came to these states.

        None takes it to have been built to its end.
        """
        walk = _Walk(self, operations(recipe), states, learning=True)
        outcomes = walk.judge()
        number = self.builds + 1
        made = dict(self.made) | {i: number for o in outcomes for i in o.ids or ()}
        return ClassicMemory(walk.children, made, outcomes, number)


class _Walk:
    """One pass over the operations, against a memory; `learning` from the truth, if it is known."""

    def __init__(self, memory, plan, states=None, learning=False):
        self.memory, self.plan, self.states = memory, plan, states
        self.learning = learning
        self.explainer = None if learning else Explainer(plan, memory.last)
        self.children = dict(memory.children)
        self.outcomes: list[Outcome] = []
        self.fresh: set[str] = set()
        self.broken: Outcome | None = None
        self.busted: State | None = State.CACHED

    def judge(self):
        for operation in self.plan:
            self.outcomes.append(self._one(operation))
        return tuple(self.outcomes)

    def _one(self, operation):
        if self.broken:
            why = Reason(Rule.BROKEN, cause=self.broken.operation.instruction)
            return Outcome(operation, State.NOT_REACHED, None, why)
        if operation.instruction.keyword == "FROM" and not operation.hidden:
            return self._start(operation)
        below = self._image(operation.below)
        key = (below, mark(sorted(operation.facts.items())), self._files(operation))
        state, image = self._state(operation, key)
        if self.learning and self.states is None:
            state = state or State.RAN
        elif self.learning and not operation.hidden:
            state = self.states.get(operation.instruction)
            image = self._told(state, image, key)
        return self._outcome(operation, key, state, image)

    def _start(self, operation):
        image = _SCRATCH
        if operation.below is not None:
            image = self._image(operation.below)
        elif "base" in operation.facts:
            image = None if operation.unclear else operation.facts["base"]
        self.busted = State.CACHED
        ids = None if image is None else frozenset({image})
        return Outcome(operation, State.CACHED, ids, Reason(Rule.PRESENT))

    def _image(self, number):
        ids = self.outcomes[number].ids
        return next(iter(ids)) if ids else None

    def _files(self, operation):
        """The files of a COPY: a key, or ("bytes", ...) where only the image they are in is known."""
        found = []
        for given in operation.inputs:
            if given.operation is not None:
                found.append(("bytes", self._image(given.operation), given.path))
            else:
                found.append(("bytes", given.key) if given.path else given.key)
        return tuple(found)

    def _state(self, operation, key):
        """(the state, the image that is found)."""
        if operation.missing:
            return State.FAILED, None
        if operation.skips_cache or self.busted is State.RAN:
            return State.RAN, None
        image = self.children.get(key)
        if self.busted is None or key[0] is None:
            return (None if self._words_known(key, operation) else State.RAN), None
        if operation.unclear:
            return (None if self._has_children(key[0]) else State.RAN), None
        if image and not _unknown(key):
            return State.CACHED, image
        return (None if self._possible(key) else State.RAN), None

    def _words_known(self, key, operation):
        return operation.unclear or any(words == key[1] for _below, words, _f in self.children)

    def _has_children(self, image):
        return any(below == image for below, _words, _files in self.children)

    def _possible(self, key):
        """The images that it may be, were the bytes known that only a build shows."""
        return {
            image
            for (below, words, files), image in self.children.items()
            if (below, words) == key[:2] and (_bytes(files) or _bytes(key[2]))
        }

    def _told(self, state, image, key):
        """The image of a step whose state is known; None where it may be one of several."""
        if image or state is not State.CACHED or key[0] is None:
            return image if state is State.CACHED else None
        found = self._possible(key) or {mark(("outside", key))}
        return found.pop() if len(found) == 1 else None

    def _outcome(self, operation, key, state, image):
        if state is State.RAN:
            image = mark((self.memory.builds, len(self.outcomes)))
            self.fresh.add(image)
        if image and key[0]:
            self.children[key] = image
        if state is not State.CACHED and self.busted is not State.RAN:
            self.busted = state
        ids = frozenset({image}) if image else None
        reason = self._reason(operation, state, ids)
        outcome = Outcome(operation, state, ids, reason, base_below(operation, self.outcomes))
        if state in (State.FAILED, State.NOT_REACHED):
            self.broken = outcome
        return outcome

    def _reason(self, operation, state, ids):
        if self.explainer is None:
            return None  # What was built needs no reason any more.
        if operation.missing or (operation.unclear and state is None):
            return operation.missing or operation.unclear
        if state is State.CACHED:
            twin = bool(ids and ids & self.fresh)
            return Reason(Rule.TWIN) if twin else seen(self.memory, ids)
        return self.explainer.explain(operation, state, self.outcomes)


def _bytes(files):
    return any(isinstance(f, tuple) for f in files)


def _unknown(key):
    """Whether the files come from an image that is not known itself."""
    return any(isinstance(f, tuple) and f[1] is None for f in key[2])
