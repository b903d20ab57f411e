"""How files count in the classic builder's cache keys.

Source: moby/moby v20.10.24 and v26.1.5, builder/dockerfile/copy.go and
builder/remotecontext/archive.go.
"""

import posixpath

from labkit.files import FOLDER, LINK, Files, has_wildcard, mark, wildcard
from labkit.operations import Input
from labkit.reasons import Reason, Rule


def taken(files: Files, sources) -> Input | Reason:
    """What a COPY takes from the context; a file counts with its whole path.

    Several sources count in their order. Source: getCopyInfosForSourcePaths and hashStringSlice
    of copy.go.
    """
    sums, found = [], {}
    for source in sources:
        paths = _matches(files, source)
        if not paths:
            return Reason(Rule.MISSING, (source,))
        for path in paths:
            one = _sum(files, path, found)
            if one is None:
                return Reason(Rule.MISSING, (source,))
            sums.append(one)
    return Input(key=mark(sums[0] if len(sums) == 1 else ("multi", sums)), files=found)


def _matches(files, source):
    """The paths that a source names; a pattern's in the order of a walk by name."""
    path = source.removeprefix("/").removeprefix("./")
    if has_wildcard(path):
        rule = wildcard(path)
        found = [p for p in files.files if rule.fullmatch(p)]
        return sorted(found, key=lambda p: p.split("/"))
    return [posixpath.normpath("/" + path).lstrip("/")]


def _sum(files, path, found):
    """The sum of a file or folder; links are followed, in the target's own name.

    Source: Hash of builder/remotecontext/archive.go, walkSource of copy.go.
    """
    real = files.follow(path)
    if real is None:
        return None
    here = files.files.get(real)
    if here and here.kind != FOLDER:
        found[real] = here
        return mark(f"{real}\0{here.stamp}")
    inside = files.inside(real)
    found |= {p: files.files[p] for p in ([real] if here else []) + list(inside)}
    own = [_entry(real, here)] if here else []
    return mark("\1".join(["dir", *sorted([*own, *(_inner(files, p) for p in inside)])]))


def _inner(files, path):
    here = files.files[path]
    if here.kind != LINK:
        return _entry(path, here)
    real = files.follow(path)
    if not real:
        return path
    return _entry(real, files.files[real])


def _entry(path, here):
    """A folder that is not in the tar itself counts by its path alone."""
    if here.kind == FOLDER and here.mode < 0:
        return path
    return f"{path}\0{here.stamp}"
