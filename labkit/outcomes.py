"""`Outcome`: what an operation comes to, and why; the reason is found beside the build before."""

import difflib
from dataclasses import dataclass

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


def seen(memory, ids) -> Reason:
    """Why a step is cached: the last build made it, or an earlier one."""
    number = max((memory.made.get(i, 0) for i in ids or ()), default=0)
    return Reason(Rule.EARLIER, build=number) if 0 < number < memory.builds else Reason(Rule.SAME)


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


def explain(operation: Operation, state, outcomes, before: Outcome | None) -> Reason:
    """Why a step is not cached (or not predicted), beside the same step of the last build."""
    if operation.skips_cache and state is State.RAN:
        return Reason(Rule.NO_CACHE)
    if state is None and (found := _unknown_bytes(operation, outcomes)):
        return found
    if before is None:
        return _above(operation, outcomes) or Reason(Rule.NEW)
    return (
        _own(operation, before.operation)
        or _files(operation, before.operation)
        or _above(operation, outcomes)
        or _base(operation, before, outcomes)
        or Reason(Rule.UNFINISHED if before.state not in _DONE else Rule.ORDER)
    )


_DONE = (State.RAN, State.CACHED)


def _unknown_bytes(operation, outcomes):
    """The step whose result is not known beforehand, here or further up."""
    numbers = [operation.below, *(i.operation for i in operation.inputs)]
    for number in numbers:
        if number is not None and outcomes[number].state is None:
            return outcomes[number].reason
    for given in operation.inputs:
        if given.operation is not None:
            return Reason(Rule.BYTES, cause=_root(given.operation, outcomes))
    return None


def _own(operation, before):
    """What the instruction itself says, and the variables and settings that it sees."""
    now, was = operation.facts, before.facts
    names = sorted(k for k in now.keys() | was.keys() if now.get(k) != was.get(k))
    if not names:
        return None
    if operation.instruction.raw.split(None, 1)[1:] != before.instruction.raw.split(None, 1)[1:]:
        return Reason(Rule.TEXT)
    if operation.instruction.heredocs != before.instruction.heredocs:
        return Reason(Rule.TEXT)
    return _variables(operation, before) or Reason(
        Rule.SETTING, (_SETTINGS.get(names[0], "SHELL"),)
    )


_SETTINGS = {"folder": "WORKDIR", "destination": "WORKDIR", "user": "USER", "owner": "USER"}


def _variables(operation, before):
    """The variables that have changed, where the instruction sees them."""
    now, was = operation.variables, before.variables
    if operation.facts.get("env") == before.facts.get("env") and not _uses(operation, now, was):
        return None
    names = [n for n in {**was, **now} if now.get(n) != was.get(n)]
    if not names and operation.facts.get("env") == before.facts.get("env"):
        return None
    names = names or list(now)
    origins = {**before.origins, **operation.origins}
    if all(origins.get(n) == "base" for n in names):
        return Reason(Rule.BASE)
    args = tuple(n for n in names if origins.get(n) == "ARG")
    return Reason(Rule.ARG, args) if args else Reason(Rule.ENV, tuple(names))


def _uses(operation, now, was):
    text = operation.instruction.raw
    changed = [n for n in {**was, **now} if now.get(n) != was.get(n)]
    return "args" in operation.facts or any(n in text for n in changed)


def _files(operation, before):
    """What has changed among the files that it takes."""
    now, was = _taken(operation), _taken(before)
    gone = [p for p in was if p not in now]
    new = [p for p in now if p not in was]
    if gone and new:
        return (
            Reason(Rule.RENAMED, tuple(gone))
            if _equal(was, gone, now, new)
            else _changed(was, now, gone + new)
        )
    if new or gone:
        return Reason(Rule.ADDED if new else Rule.REMOVED, _short(new or gone))
    return _changed(was, now, [])


def _equal(was, gone, now, new):
    return sorted(map(repr, (was[p].content for p in gone))) == sorted(
        map(repr, (now[p].content for p in new))
    )


def _changed(was, now, more):
    content = [p for p in now if p in was and now[p].content != was[p].content]
    if content or more:
        return Reason(Rule.CONTENT, _short(content or more))
    modes = [p for p in now if p in was and now[p].mode != was[p].mode]
    return Reason(Rule.MODE, _short(modes)) if modes else None


def _short(names):
    return tuple(names[:3])


def _taken(operation):
    return {path: file for i in operation.inputs for path, file in i.files.items()}


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
