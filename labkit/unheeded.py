"""What changed between two recipes and yet does not count: comments, mtimes, ignored files."""

from labkit.files import File
from labkit.reasons import Reason, Rule
from labkit.recipes import Recipe


def unheeded(before: Recipe, after: Recipe) -> tuple[Reason, ...]:
    """The changes that no step sees, each as a Reason with the names that it is about."""
    return tuple(reason for find in _ALL for reason in find(before, after))


def _comments(before, after):
    was, now = _plain(before), _plain(after)
    if before.dockerfile.text != after.dockerfile.text and was == now:
        yield Reason(Rule.COMMENT)


def _plain(recipe):
    return [
        (i.keyword, i.raw.split(None, 1)[1:], i.heredocs) for i in recipe.dockerfile.instructions
    ]


def _times(before, after):
    names = [
        path
        for path, file in after.files.files.items()
        if path in before.files.files and _touched(before.files.files[path], file)
    ]
    if names:
        yield Reason(Rule.MTIME, tuple(names[:3]))


def _touched(was: File, now: File):
    return now == was and now.kind == "file" and now.mtime_ns != was.mtime_ns


def _ignored(before, after):
    was, now = before.files.left_out, after.files.left_out
    names = [p for p in {**was, **now} if _when(was.get(p)) != _when(now.get(p))]
    names = [p for p in names if (now.get(p) or was[p]).kind == "file"]
    if names:
        yield Reason(Rule.IGNORED, tuple(names[:3]))


def _when(file):
    return file and (file.size_bytes, file.mtime_ns, file.mode)


def _arguments(before, after):
    declared = {
        word.partition("=")[0]
        for i in after.dockerfile.instructions
        if i.keyword == "ARG"
        for word in i.arguments
    }
    was, now = before.build_args, after.build_args
    names = [n for n in {**was, **now} if was.get(n) != now.get(n) and n not in declared]
    if names:
        yield Reason(Rule.UNUSED_ARG, tuple(names))


_ALL = (_comments, _times, _ignored, _arguments)
