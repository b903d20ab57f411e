"""The build context of the classic builder: the folder as a tar, less what .dockerignore names.

The rules of .dockerignore are the SDK's (`docker.utils.build.PatternMatcher`). As the docker CLI does,
every file belongs to 0:0, so that the owner on the host is no part of a cache key. Where a
stand-in takes the place of the base, .dockerignore gets a line that keeps the edited Dockerfile
out; a COPY that takes .dockerignore along copies that line too.
"""

import tarfile
import tempfile
from contextlib import contextmanager
from io import BytesIO

from docker.utils.build import PatternMatcher

from labkit import ignore

EDITED = ".labkit.dockerfile"
"""The name under which a Dockerfile with another base travels; it is never copied."""


@contextmanager
def tar(request):
    """The context as an open file, and the name of the Dockerfile in it."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(mode="w", fileobj=file) as archive:
            name = _fill(archive, request)
        file.seek(0)
        yield file, name


def edited_text(text: str, froms) -> str:
    """The Dockerfile with the stand-ins on the lines of its FROMs.

    >>> edited_text("FROM a\\nRUN a", [(1, 1, "a", "b:1")])
    'FROM b:1\\nRUN a'
    """
    lines = text.split("\n")  # As Docker counts them: a form feed ends no line.
    for first, last, written, image in froms:
        for line in range(first - 1, last):
            lines[line] = lines[line].replace(written, image, 1)
    return "\n".join(lines)


def entries(request) -> list[str]:
    """The paths of the classic builder's tar; the Dockerfile always comes along."""
    return sorted({*_walk(request), *(() if _edited(request) else (_name(request),))})


def kept(request) -> set[str] | None:
    """The paths of the tar that the classic builder keeps; None where that is all there are.

    It takes out the Dockerfile and .dockerignore where that names them. Source: removeDockerfile
    of moby/moby, builder/remotecontext/detect.go.
    """
    if not _patterns(request):
        return None
    found = _walk(request) if _edited(request) else set(entries(request))
    if ".dockerignore" not in found:
        return found
    own = {".dockerignore"} if _edited(request) else {".dockerignore", _name(request)}
    lines = ignore.patterns(_rules(request.folder / ".dockerignore"))
    return found - (own - ignore.kept([(name, False) for name in own], lines))


def rules(request) -> list[str]:
    """The lines of .dockerignore as BuildKit reads it: the one named after the Dockerfile first.

    Source: https://docs.docker.com/build/concepts/context/#filename-and-location
    """
    own = request.dockerfile.with_name(request.dockerfile.name + ".dockerignore")
    return _rules(own if own.is_file() else request.folder / ".dockerignore")


def _walk(request):
    return set(PatternMatcher(_patterns(request)).walk(str(request.folder)))


def _edited(request):
    return bool(request.stands_in) or _name(request) == EDITED


def _patterns(request):
    rules = [rule.strip() for rule in _rules(request.folder / ".dockerignore")]
    return [rule for rule in rules if rule and not rule.startswith("#")]


def _name(request):
    inside = request.dockerfile.parent == request.folder
    return request.dockerfile.name if inside else EDITED


def _rules(file):
    return file.read_text("utf-8-sig", "surrogateescape").splitlines() if file.exists() else []


def _fill(archive, request):
    folder, edited = request.folder, _edited(request)
    for path in entries(request):
        if not (edited and path == ".dockerignore"):
            _add(archive, folder, path)
    if edited:
        file = folder / ".dockerignore"
        own = [*_rules(file), EDITED] + ([] if file.exists() else [".dockerignore"])
        add_text(archive, ".dockerignore", "\n".join(own) + "\n")
        add_text(archive, EDITED, _text(request))
        return EDITED
    return _name(request)


def _text(request):
    return edited_text(request.text, request.froms)


def _add(archive, folder, path):
    archive.inodes.clear()  # A second name of a file goes as a file, so that its content counts.
    archive.add(folder / path, arcname=path, recursive=False, filter=_owned_by_root)


def _owned_by_root(info):
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    """Put a file with this text into a tar."""
    data = text.encode(errors="surrogateescape")
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    archive.addfile(info, BytesIO(data))
