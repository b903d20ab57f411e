"""What BuildKit's cache remembers, and what it will find: the solver's keys, as symbols.

Each result has an id. `links` leads from (what an operation counts of itself, the place of one
of its inputs, the key of that input) to the ids of the results made so; `results` holds all
that an operation ever came to. An operation is found where all its inputs lead to one and the
same id. An input has a key by definition (the id of the operation that makes it) and often one
by content (its files).

Source: probeCache, recalcCurrentState and commitOptions of moby/buildkit, solver/edge.go; Query of
solver/cachemanager.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from labkit.buildkit_rules import operations
from labkit.files import FOLDER, mark
from labkit.operations import Input
from labkit.outcomes import Explainer, Outcome, base_below, breaks_off, seen
from labkit.progress import State
from labkit.reasons import Reason, Rule
from labkit.recipes import Recipe

_NOTHING = frozenset({"nothing"})
_WROTE = (State.CACHED, State.RAN)


@dataclass(frozen=True)
class BuildKitMemory:
    """All results that the builds so far have left; `made` says which build had each last.

    `folders` has the modes of the folders that were sent, -1 for one that had several; `unsure`
    the results of steps that a COPY broke off, so that they may not have come to an end.
    """

    links: Mapping[tuple, frozenset] = field(default_factory=dict)
    results: Mapping[str, frozenset] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    last: tuple[Outcome, ...] = ()
    builds: int = 0
    folders: Mapping[str, int] = field(default_factory=dict)
    unsure: frozenset = frozenset()

    def judge(self, recipe: Recipe) -> tuple[Outcome, ...]:
        """What each operation of the recipe will come to."""
        walk = _Walk(self, operations(recipe))
        modes = _folders(recipe)
        walk.changed = {p for p, mode in modes.items() if self.folders.get(p, mode) != mode}
        return walk.judge()

    def learn(self, recipe: Recipe, states: Mapping | None) -> "BuildKitMemory":
        """The memory after a build of the recipe whose steps came to these states.

        None takes it to have been built to its end.
        """
        walk = _Walk(self, operations(recipe), states, learning=True)
        outcomes = walk.judge()
        number = self.builds + 1
        made = dict(self.made) | {i: number for o in outcomes for i in o.ids or ()}
        modes = _folders(recipe)
        folders = {p: m if self.folders.get(p, m) == m else -1 for p, m in modes.items()}
        folders = {**self.folders, **folders}
        return BuildKitMemory(
            walk.links, walk.results, made, outcomes, number, folders, frozenset(walk.unsure)
        )


def _folders(recipe):
    return {path: f.mode for path, f in recipe.files.files.items() if f.kind == FOLDER}


class _Walk:
    """One pass over the operations, against a memory; `learning` from the truth, if it is known."""

    def __init__(self, memory, plan, states=None, learning=False):
        self.memory, self.plan, self.states = memory, plan, states
        self.learning = learning
        self.explainer = None if learning else Explainer(plan, memory.last)
        self.links, self.results = dict(memory.links), dict(memory.results)
        self.outcomes: list[Outcome] = []
        self.fresh: set[str] = set()
        self.vertices: dict[tuple, frozenset] = {}
        self.changed: set[str] = set()
        self.unsure = set(memory.unsure)

    def judge(self):
        for operation in self.plan:
            self.outcomes.append(self._one(operation))
        return tuple(self.outcomes) if self.learning else _broken_off(self.outcomes)

    def _one(self, operation):
        if operation.instruction.keyword == "FROM" and not operation.hidden:
            return self._start(operation)
        if self._stands_on_nothing_made(operation):
            return Outcome(operation, State.NOT_REACHED, None, _broken(operation, self.outcomes))
        own = mark(sorted(operation.facts.items()))
        inputs = self._inputs(operation)
        hit = self.vertices.get((own, *inputs)) or self._hit(own, inputs)
        state = self._state(operation, own, inputs, hit)
        if self.learning and self.states is None:
            state = state or State.RAN
        elif self.learning and not operation.hidden:
            state = self._seen(operation, hit)
            hit = self._told(state, own, inputs, hit)
        return self._outcome(operation, own, inputs, hit, state)

    def _start(self, operation):
        ids = _NOTHING
        if operation.below is not None:
            ids = self.outcomes[operation.below].ids
        elif "base" in operation.facts:
            ids = frozenset({mark(sorted(operation.facts.items()))})
        ids = None if operation.unclear else ids
        return Outcome(operation, State.CACHED, ids, Reason(Rule.PRESENT))

    def _stands_on_nothing_made(self, operation):
        numbers = [operation.below, *(i.operation for i in operation.inputs)]
        states = [self.outcomes[n].state for n in numbers if n is not None]
        return any(s in (State.FAILED, State.NOT_REACHED) for s in states)

    def _inputs(self, operation):
        """Of each input its keys, and whether it may have others that are not known."""
        below = operation.below
        ids = _NOTHING if below is None else self.outcomes[below].ids
        first = (ids or frozenset(), ids is None or operation.by_content)
        return [first, *(self._keys(i) for i in operation.inputs)]

    def _keys(self, given: Input):
        if given.operation is None:
            return frozenset({given.key}), False
        ids = self.outcomes[given.operation].ids
        keys = frozenset((i, given.path) for i in ids or ())
        return keys, ids is None or bool(given.path)

    def _found(self, own, inputs):
        """For each input the ids that its keys lead to."""
        for place, (keys, _open) in enumerate(inputs):
            yield frozenset().union(*(self.links.get((own, place, k), ()) for k in keys))

    def _hit(self, own, inputs):
        return frozenset.intersection(*self._found(own, inputs))

    def _possible(self, own, inputs):
        """The ids that might be found, were the keys known that are not."""
        closed = [f for f, (_k, more) in zip(self._found(own, inputs), inputs) if not more]
        return frozenset.intersection(self.results.get(own, frozenset()), *closed)

    def _state(self, operation, own, inputs, hit):
        if operation.missing:
            return State.FAILED
        if operation.skips_cache and (own, *inputs) not in self.vertices:
            return State.RAN
        if operation.unclear:
            return State.RAN if self._is_first(inputs[0]) else None
        if hit:
            unsure = hit <= self.memory.unsure
            return None if unsure or self._modes(operation) else State.CACHED
        open_inputs = any(more for _keys, more in inputs)
        return None if open_inputs and self._possible(own, inputs) else State.RAN

    def _modes(self, operation):
        """The folders among the files whose mode is not the one that was sent first."""
        if not self.changed:
            return ()
        return tuple(p for i in operation.inputs for p in i.files if p in self.changed)

    def _is_first(self, below):
        """Whether nothing was ever made on what the operation stands on."""
        keys, more = below
        return not more and not any(k in keys for (_own, place, k) in self.links if place == 0)

    def _seen(self, operation, hit):
        """The true state; a hit that nothing explains is a guess where a COPY broke the build off."""
        state = self.states.get(operation.instruction)
        guessed = state is State.CACHED and not hit and breaks_off(self.states)
        return State.NOT_REACHED if guessed else state

    def _told(self, state, own, inputs, hit):
        """The ids of a step whose state is known; None where it is not clear which of several."""
        if hit or state is not State.CACHED:
            return hit
        possible = self._possible(own, inputs)
        return possible if len(possible) < 2 else None

    def _outcome(self, operation, own, inputs, hit, state):
        ids = None
        if state in _WROTE and hit is not None:
            # Without the cache there is a second result, with an id of its own.
            anew = state is State.RAN and (operation.skips_cache or operation.unclear)
            ids = frozenset({self._new(own, inputs, anew)}) if anew or not hit else hit
        reason = self._reason(operation, state, ids)
        if state is State.RAN and ids:
            self.fresh |= ids
        if ids:
            self._weigh(state, ids, hit)
            self._save(own, inputs, ids)
            self.vertices.setdefault((own, *inputs), ids)  # An equal operation is this one again.
        return Outcome(operation, state, ids, reason, base_below(operation, self.outcomes))

    def _weigh(self, state, ids, hit):
        """A step that is called RAN where a COPY broke the build off may have failed itself."""
        broken = self.states is not None and breaks_off(self.states)
        if broken and state is State.RAN and (not hit or hit <= self.unsure):
            self.unsure |= ids
        elif self.learning and not broken:
            self.unsure -= ids

    def _new(self, own, inputs, anew):
        if anew or any(more for _keys, more in inputs):
            return mark((own, self.memory.builds, len(self.outcomes)))
        return mark((own, [sorted(map(str, keys)) for keys, _more in inputs]))

    def _save(self, own, inputs, ids):
        self.results[own] = self.results.get(own, frozenset()) | ids
        for place, (keys, _more) in enumerate(inputs):
            for key in keys:
                self.links[own, place, key] = self.links.get((own, place, key), frozenset()) | ids

    def _reason(self, operation, state, ids):
        if self.explainer is None:
            return None  # What was built needs no reason any more.
        if operation.missing or (operation.unclear and state is None):
            return operation.missing or operation.unclear
        if state is None and ids is None and (names := self._modes(operation)):
            return Reason(Rule.FOLDER, names[:3])
        if state is State.CACHED:
            twin = bool(ids and ids & self.fresh)
            return Reason(Rule.TWIN) if twin else seen(self.memory, ids)
        return self.explainer.explain(operation, state, self.outcomes)


def _broken(operation, outcomes):
    failed = next((o for o in outcomes if o.state is State.FAILED), None)
    return Reason(Rule.BROKEN, cause=failed.operation.instruction if failed else None)


def _broken_off(outcomes):
    """A COPY without its file breaks the build off at once: what else would run may not."""
    failed = next((o for o in outcomes if o.state is State.FAILED), None)
    if not failed:
        return tuple(outcomes)
    why = Reason(Rule.BROKEN, cause=failed.operation.instruction)
    return tuple(
        replace(o, state=None, reason=why) if o.state is State.RAN else o for o in outcomes
    )
