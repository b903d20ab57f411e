"""Which steps of a build come from the cache, which run again, and why: said beforehand.

    predict(before, after) -> Prediction

`before` is what was built: a Recipe, or a `Memory` of all builds so far, since the cache remembers
more than the last one. Pure: nothing is built and nothing read. The rules are those of the
builder: `buildkit_rules.py` and `classic_rules.py` say which, and from where they are known.
"""

from dataclasses import dataclass, replace

from labkit import views
from labkit.buildkit_memory import BuildKitMemory
from labkit.classic_memory import ClassicMemory
from labkit.dockerfile import Instruction
from labkit.progress import State, neighbour
from labkit.reasons import Reason, Rule
from labkit.recipes import Recipe
from labkit.unheeded import unheeded
from labkit.words import _

MEMORIES = {"buildkit": BuildKitMemory, "classic": ClassicMemory}


@dataclass(frozen=True)
class Verdict:
    """What is foreseen for one step: its state, None where that is not predicted; and why."""

    instruction: Instruction
    state: State | None
    reason: Reason


@dataclass(frozen=True, repr=False)
class Prediction:
    """A verdict for every step, in the order of the Dockerfile.

    `unheeded` tells of changes that the builder does not count, such as a comment.
    """

    steps: tuple[Verdict, ...]
    unheeded: tuple[Reason, ...] = ()

    def states(self) -> tuple[str, ...]:
        """The foreseen states as words, "?" where a step is not predicted."""
        return tuple(v.state.value if v.state else "?" for v in self.steps)

    def __repr__(self):
        counts = {word: self.states().count(word) for word in sorted(set(self.states()))}
        return f"<Prediction {', '.join(f'{n} {word}' for word, n in counts.items())}>"

    def _rows(self):
        return [
            (n, views.short(v.instruction.text, 48), foreseen(v.state), v.reason.sentence)
            for n, v in enumerate(self.steps, 1)
        ]

    def __str__(self):
        notes = [note.sentence for note in self.unheeded]
        return "\n".join([views.text_table(self._rows()), *notes])

    def plain(self) -> str:
        """The steps and their foreseen states: what is true of each builder, without reasons."""
        return views.text_table([row[:3] for row in self._rows()])

    def _repr_mimebundle_(self, include=None, exclude=None):
        head = ("", _("instruction"), _("foreseen"), _("why"))
        rows = [
            (n, views.code(v.instruction.text), badge(v.state), v.reason.sentence)
            for n, v in enumerate(self.steps, 1)
        ]
        notes = [views.paragraph(note.sentence) for note in self.unheeded]
        page = views.box(views.table(head, rows, right=(0,)), *notes)
        return {"text/plain": self.plain(), "text/html": page}


def foreseen(state: State | None) -> str:
    """A foreseen state in the learner's language."""
    return views.state_word(state.value if state else "UNKNOWN")


def badge(state: State | None) -> views.Raw:
    """A foreseen state as a badge."""
    return views.state(state.value if state else "UNKNOWN")


@dataclass(frozen=True)
class Memory:
    """What the cache remembers of the builds that one knows of; empty at first.

    `recipes` are those builds, the newest last. `shares_scratch` says that others, too, may have
    built FROM scratch: what is new there is not predicted then.
    """

    recipes: tuple[Recipe, ...] = ()
    shares_scratch: bool = False
    _rules: object = None

    def predict(self, recipe: Recipe) -> Prediction:
        """What a build of the recipe would come to now."""
        rules = self._rules or MEMORIES[recipe.builder]()
        outcomes = rules.judge(recipe)
        notes = ()
        if self.recipes:
            notes = unheeded(self.recipes[-1], recipe, _taken([*outcomes, *rules.last]))
        if self.shares_scratch:
            outcomes = tuple(map(_outside, outcomes))
        return Prediction(_verdicts(recipe, outcomes), notes)

    def after(self, recipe: Recipe, states=None) -> "Memory":
        """The memory once the recipe was built; `states` says how each instruction ended.

        Without `states` all is taken to have been built to its end.
        """
        rules = self._rules or MEMORIES[recipe.builder]()
        learned = rules.learn(recipe, states)
        return Memory((*self.recipes, recipe), self.shares_scratch, learned)


def predict(before: Recipe | Memory | None, after: Recipe) -> Prediction:
    """What each step of `after` will come to, once `before` has been built.

    None as `before` is an empty cache.
    """
    if isinstance(before, Recipe):
        before = Memory().after(before)
    return (before or Memory()).predict(after)


def told(prediction: Prediction, steps) -> tuple[Reason, ...]:
    """Why each step of a real build came as it did: what was foreseen, or what it has shown."""
    reasons, cause = [], {}
    states = {step.instruction: step.state for step in steps}
    for verdict, step in zip(prediction.steps, steps):
        stage = step.instruction.stage
        reason = _told(verdict, step.state, cause.get(stage))
        if reason.rule is Rule.ABOVE and states.get(reason.cause) is State.CACHED:
            reason = Reason(Rule.NEW)  # That step was foreseen to run, and did not.
        if reason.rule in (Rule.FORGOTTEN, Rule.BYTES_OTHER) or step.state is State.FAILED:
            cause.setdefault(stage, step)
        reasons.append(reason)
    return tuple(reasons)


def _told(verdict, state, cause):
    if verdict.state is state or verdict.reason.rule is Rule.NEIGHBOUR:
        return verdict.reason
    if state is State.NOT_REACHED:
        return Reason(Rule.BROKEN, cause=cause.instruction if cause else None)
    if verdict.state is State.RAN:
        return verdict.reason if state is State.FAILED else Reason(Rule.REMEMBERED)
    if cause and state is State.RAN:
        return Reason(Rule.ABOVE, cause=cause.instruction)
    if verdict.reason.rule is Rule.BYTES:
        rule = Rule.BYTES_SAME if state is State.CACHED else Rule.BYTES_OTHER
        return Reason(rule, cause=verdict.reason.cause)
    return Reason(Rule.FORGOTTEN) if verdict.state is State.CACHED else verdict.reason


def _taken(outcomes):
    found = {id(i.files): i.files for o in outcomes for i in o.operation.inputs}
    return set().union(*found.values())


def _outside(outcome):
    """A step on scratch that no known build made may have been made by another."""
    started = outcome.operation.instruction.keyword == "FROM"
    if outcome.base is not None or started or outcome.state is not State.RAN:
        return outcome
    return replace(outcome, state=None, reason=Reason(Rule.OUTSIDE))


def _verdicts(recipe, outcomes):
    told = {o.operation.instruction: o for o in outcomes if not o.operation.hidden}
    steps, final = [], recipe.dockerfile.final_stage(recipe.target)
    for number in range(len(recipe.dockerfile.stages)):
        rows = [told.get(i) or i for i in recipe.dockerfile.stage(number)]
        if isinstance(rows[0], Instruction):
            rule = Rule.STOPPED if number > final else Rule.UNNEEDED
            steps += [Verdict(i, State.NOT_REACHED, Reason(rule)) for i in rows]
        else:
            steps += _stage(rows)
    return tuple(steps)


def _stage(rows):
    """The verdicts of one stage; what has no operation takes its neighbour's state.

    That is how labkit tells of metadata on BuildKit; see `buildkit_events.BuildKitReader`.
    """
    found = []
    for place, row in enumerate(rows):
        if not isinstance(row, Instruction):
            found.append(Verdict(row.operation.instruction, row.state, row.reason))
        else:
            found.append(Verdict(row, *_neighbour(found, rows[place:])))
    return found


def _neighbour(before, after):
    below = (row.state for row in after if not isinstance(row, Instruction))
    state, last = neighbour([verdict.state for verdict in before], below), before[-1]
    stopped = last.state in (State.FAILED, State.NOT_REACHED)
    return state, last.reason if stopped else Reason(Rule.NEIGHBOUR)
