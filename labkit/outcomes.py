"""`Outcome`: what an operation comes to, and why; the reason is found beside the build before."""

import difflib
from dataclasses import dataclass

from labkit import differences
from labkit.operations import Operation
from labkit.progress import State
from labkit.reasons import Reason, Rule


@dataclass(frozen=True)
class Outcome:
    """What an operation comes to: its state (None: not predicted), the ids of its result.

    `base` names the image that its stage is FROM.
    """

    operation: Operation
    state: State | None
    ids: frozenset | None
    reason: Reason
    base: str | None = None


def breaks_off(states) -> bool:
    """Whether a COPY or ADD failed: BuildKit then calls steps cached that it never got to.

    They are told as started and completed at the moment of the failure, like true hits.
    """
    return any(
        state is State.FAILED and instruction.keyword in ("COPY", "ADD")
        for instruction, state in states.items()
    )


def seen(memory, ids) -> Reason:
    """Why a step is cached: the last build made it, or an earlier one."""
    number = max((memory.made.get(i, 0) for i in ids or ()), default=0)
    return Reason(Rule.EARLIER, build=number) if 0 < number < memory.builds else Reason(Rule.SAME)


class Explainer:
    """Says why steps are not cached, beside the steps of the build before."""

    def __init__(self, plan, last):
        self._pairs, self._seen = align(plan, last), {}

    def explain(self, operation: Operation, state, outcomes) -> Reason:
        """Why a step runs, or is not predicted; `outcomes` are those of the steps before it."""
        if operation.skips_cache and state is State.RAN:
            return Reason(Rule.NO_CACHE)
        if state is None and (found := _unknown_bytes(operation, outcomes)):
            return found
        before = self._pairs.get(len(outcomes))
        if before is None:
            return _above(operation, outcomes) or Reason(Rule.NEW)
        return (
            differences.own(operation, before.operation)
            or self._files(operation, before.operation)
            or _above(operation, outcomes)
            or _base(operation, before, outcomes)
            or Reason(Rule.UNFINISHED if before.state not in _DONE else Rule.ORDER)
        )

    def _files(self, operation, before):
        """What has changed among the files; many steps may take the same ones."""
        keys = tuple(tuple(i.key for i in o.inputs) for o in (operation, before))
        if keys[0] == keys[1]:
            return None
        if keys not in self._seen:
            self._seen[keys] = differences.files(operation, before)
        return self._seen[keys]


def align(plan, last) -> dict[int, Outcome]:
    """Of each operation, by its number, the one of the last build that it goes back to.

    Equal instructions belong together first, those that moved too; then what stands in the
    same place with the same keyword.
    """
    pairs, left = {}, []
    was = [_name(o.operation) for o in last]
    match = difflib.SequenceMatcher(None, was, [_name(o) for o in plan], autojunk=False)
    free = set(range(len(last)))
    for kind, a1, a2, b1, b2 in match.get_opcodes():
        if kind == "equal":
            pairs |= {b: last[a] for a, b in zip(range(a1, a2), range(b1, b2))}
            free -= set(range(a1, a2))
        else:
            left += [(b, range(a1, a2)) for b in range(b1, b2)]
    for number, _near in left:
        moved = [a for a in free if was[a] == _name(plan[number])]
        if moved:
            pairs[number] = last[moved[0]]
            free.discard(moved[0])
    for number, near in left:
        same = [a for a in near if a in free and was[a][:3] == _name(plan[number])[:3]]
        if number not in pairs and same:
            pairs[number] = last[same[0]]
            free.discard(same[0])
    return pairs


def _name(operation):
    instruction = operation.instruction
    return instruction.stage, operation.hidden, instruction.keyword, instruction.raw


_DONE = (State.RAN, State.CACHED)


def _unknown_bytes(operation, outcomes):
    """The step whose result is not known beforehand, here or further up."""
    numbers = [operation.below, *(i.operation for i in operation.inputs)]
    for number in numbers:
        if number is not None and (found := _doubt(number, outcomes)):
            return found
    for given in operation.inputs:
        if given.operation is not None:
            return Reason(Rule.BYTES, cause=_root(given.operation, outcomes))
    return (
        Reason(Rule.BYTES, cause=_root(operation.below, outcomes)) if operation.by_content else None
    )


def _doubt(number, outcomes):
    """Why the result of an operation is not known; that of a FROM is that of its stage."""
    while number is not None and outcomes[number].ids is None:
        outcome = outcomes[number]
        if outcome.state is None:
            return outcome.reason
        if outcome.operation.unclear:
            return outcome.operation.unclear
        number = outcome.operation.below
    return None


def _above(operation, outcomes):
    """The step further up that runs again, where there is one."""
    numbers = [operation.below, *(i.operation for i in operation.inputs)]
    for number in numbers:
        if number is not None and outcomes[number].state is State.RAN:
            return Reason(Rule.ABOVE, cause=_root(number, outcomes))
    return None


def _root(number, outcomes):
    """The first instruction of the chain that runs again; else the one at its end."""
    cause = outcomes[number].operation.instruction
    while number is not None:
        if outcomes[number].state is State.RAN:
            cause = outcomes[number].operation.instruction
        number = outcomes[number].operation.below
    return cause


def _base(operation, before, outcomes):
    """Whether the step stands on a base that is another one now."""
    return Reason(Rule.BASE) if base_below(operation, outcomes) != before.base else None


def base_below(operation: Operation, outcomes) -> object:
    """What names the image at the bottom of the chain on which an operation stands."""
    while operation.below is not None:
        operation = outcomes[operation.below].operation
    return operation.facts.get("base")
