"""What changed between two recipes and yet does not count: comments, mtimes, ignored files."""

from labkit.files import FOLDER, File
from labkit.reasons import Reason, Rule
from labkit.recipes import Recipe


def unheeded(before: Recipe, after: Recipe, taken) -> tuple[Reason, ...]:
    """The changes that no step sees, each as a Reason with the names that it is about.

    `taken` are the paths of the build context that some step takes.
    """
    return tuple(
        reason
        for found in (
            _comments(before, after),
            _times(before, after, taken),
            _uncopied(before, after, taken),
            _ignored(before, after),
            _arguments(before, after),
        )
        for reason in found
    )


def _comments(before, after):
    was, now = _plain(before), _plain(after)
    if before.dockerfile.text != after.dockerfile.text and was == now:
        yield Reason(Rule.COMMENT)


def _plain(recipe):
    return [
        (i.keyword, i.raw.split(None, 1)[1:], i.heredocs) for i in recipe.dockerfile.instructions
    ]


def _times(before, after, taken):
    was, now = before.files.files, after.files.files
    names = [p for p in now if p in was and p in taken and _touched(was[p], now[p])]
    if names:
        yield Reason(Rule.MTIME, tuple(names[:3]))


def _uncopied(before, after, taken):
    was, now = before.files.files, after.files.files
    names = [p for p in {**was, **now} if p not in taken and was.get(p) != now.get(p)]
    names = [p for p in names if (now.get(p) or was[p]).kind != FOLDER and p != "Dockerfile"]
    if names:
        yield Reason(Rule.UNCOPIED, tuple(names[:3]))


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
