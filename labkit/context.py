"""The build context of the classic builder: the folder as a tar, less what .dockerignore names.

The rules of .dockerignore are the SDK's (`docker.utils.exclude_paths`). As the docker CLI does,
every file belongs to 0:0, so that the owner on the host is no part of a cache key. Where a
stand-in takes the place of the base, .dockerignore gets a line that keeps the edited Dockerfile
out; a COPY that takes .dockerignore along copies that line too.
"""

import tarfile
import tempfile
from contextlib import contextmanager
from io import BytesIO

from docker.utils.build import exclude_paths

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


def edited_text(text: str, froms, image: str) -> str:
    """The Dockerfile with the stand-in on the lines of its FROMs.

    >>> edited_text("FROM a\\nRUN a", [(1, 1, "a")], "b:1")
    'FROM b:1\\nRUN a'
    """
    lines = text.split("\n")  # As Docker counts them: a form feed ends no line.
    for first, last, written in froms:
        for line in range(first - 1, last):
            lines[line] = lines[line].replace(written, image, 1)
    return "\n".join(lines)


def _fill(archive, request):
    folder = request.folder
    inside = request.dockerfile.parent == folder
    name = request.dockerfile.name if inside else EDITED
    ignore = folder / ".dockerignore"
    rules = ignore.read_text("utf-8-sig", "surrogateescape").splitlines() if ignore.exists() else []
    patterns = [rule.strip() for rule in rules if rule.strip() and not rule.startswith("#")]
    edited = request.stands_in or not inside
    for path in sorted(exclude_paths(str(folder), patterns, dockerfile=name)):
        if not (edited and path == ".dockerignore"):
            _add(archive, folder, path)
    if edited:
        own = [*rules, EDITED] + ([] if ignore.exists() else [".dockerignore"])
        add_text(archive, ".dockerignore", "\n".join(own) + "\n")
        add_text(archive, EDITED, _text(request))
        return EDITED
    return name


def _text(request):
    if not request.stands_in:
        return request.text
    return edited_text(request.text, request.froms, request.stands_in[1])


def _add(archive, folder, path):
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
