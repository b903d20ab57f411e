"""How files and heredocs count in BuildKit's cache keys.

Source: moby/buildkit v0.13.2, cache/contenthash/checksum.go and solver/llbsolver/ops/file.go.
"""

import posixpath

from labkit.expand import Unclear
from labkit.files import FOLDER, LINK, Files, Taken, clean, has_wildcard, mark
from labkit.operations import Input
from labkit.reasons import Reason, Rule


def heredoc(text, heredocs):
    """The command that a RUN with heredocs comes to, and the file that it is run as (dispatchRun)."""
    name, content = heredocs[0]
    word = text.strip()
    if len(heredocs) == 1 and word.lstrip("0123456789<-").strip("\"'") == name and " " not in word:
        text = chomped(word, content)
        return text, f"/dev/pipes/{name}" if content.startswith("#!") else ""
    return "\n".join([text, *(content + name for name, content in heredocs)]), ""


def chomped(word, content):
    """A heredoc's text; `<<-` takes the tabs away with which its lines begin."""
    if "<<-" not in word:
        return content
    return "".join(line.lstrip("\t") for line in content.splitlines(keepends=True))


def taken(files: Files, paths) -> Input | Reason:
    """What a COPY takes from the context: one key for all its sources.

    A source inside another is dropped, the rest is sorted by path; a pattern counts the last
    name of each file that it matches, not the whole path.
    Source: dedupeSelectors of ops/file.go, Checksum of cache/contenthash/checksum.go.
    """
    paths = [(clean(path), has_wildcard(path)) for path in paths]
    plain = sorted({p for p, pattern in paths if not pattern})
    plain = [
        p for p in plain if not any(p != q and (p + "/").startswith(q and q + "/") for q in plain)
    ]
    found = []
    for path, pattern in sorted([*((p, False) for p in plain), *(x for x in paths if x[1])]):
        one = _matched(files, path) if pattern else files.take(path)
        if one is None:
            return Reason(Rule.MISSING, (path,))
        found.append(one)
    every = (
        found[0].files if len(found) == 1 else {p: f for one in found for p, f in one.files.items()}
    )
    return Input(key=mark(tuple(one.key for one in found)), files=every)


def _matched(files, pattern) -> Taken:
    found, listed = {}, []
    for path in files.match(pattern):
        inner = files.inside(path) if files.files[path].kind == FOLDER else ()
        found |= {p: files.files[p] for p in (path, *inner)}
        listed += [(posixpath.basename(p), _digest(files, p)) for p in (path, *inner)]
    if len(listed) == 1 and listed[0][0] == posixpath.basename(pattern):
        return Taken(listed[0][1], found)
    return Taken(mark(listed), found)


def _digest(files, path):
    here = files.files[path]
    if here.kind == LINK:
        if followed := files.take(path):
            return followed.key
        raise Unclear(path)
    return mark(here.bare)
