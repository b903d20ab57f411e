"""What is different about a step and the same step of the build before, as a Reason."""

from labkit.operations import Operation
from labkit.reasons import Reason, Rule


def own(operation: Operation, before: Operation) -> Reason | None:
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


def files(operation: Operation, before: Operation) -> Reason | None:
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
