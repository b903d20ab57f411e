"""A folder -> the `Files` of a build context, as the builder is sent them; digests are kept.

A file is hashed again only where its size, mtime, ctime or inode have changed since. Which files
.dockerignore leaves out is decided by `ignore.py` for BuildKit, as in `context.py` for the other.
"""

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath

from labkit import context, ignore
from labkit.files import FILE, FOLDER, LINK, OTHER, File, Files

_CHUNK, _SMALL = 1 << 20, 1 << 15


class Snapshots:
    """Takes snapshots of folders and remembers the files that have not changed since.

    `hashed` counts the files whose bytes have been read.
    """

    def __init__(self):
        self._known: dict[tuple, tuple] = {}
        self.hashed = 0

    def take(self, builder: str, request) -> Files:
        """The files of a request's context, and those that .dockerignore leaves out.

        Extended attributes travel to BuildKit alone.
        """
        folder, xattrs = str(request.folder), builder == "buildkit"
        there = [
            (path, entry, entry.stat(follow_symlinks=False)) for path, entry in _walk(folder, "")
        ]
        inside = _sent(request, there) if xattrs else context.kept(request)
        found, left_out = {}, {}
        for path, entry, stat_ in there:
            if not xattrs and stat.S_ISSOCK(stat_.st_mode):
                continue  # It has no place in a tar.
            if inside is None or path in inside:
                found[path] = (entry.path, stat_, xattrs)
            else:
                left_out[path] = _file(entry.path, stat_, "", False)
        files = self._files(found)
        for path in () if xattrs else _implied(files):
            files[path] = File(FOLDER, -1)
        return Files(dict(sorted(files.items())), left_out)

    def _files(self, found):
        """path -> File; large ones are read side by side, which Python lets go on."""
        changed = [job for job in found.values() if not self._same(job)]
        large = [job for job in changed if job[1].st_size > _SMALL]
        for job in changed:
            if job[1].st_size <= _SMALL:
                self._read(job)
        if large:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                list(pool.map(self._read, large))
        return {path: self._known[place, xattrs][1] for path, (place, _s, xattrs) in found.items()}

    def _same(self, job):
        place, stat_, xattrs = job
        return self._known.get((place, xattrs), (None,))[0] == _identity(stat_)

    def _read(self, job):
        place, stat_, xattrs = job
        regular = stat.S_ISREG(stat_.st_mode)
        self.hashed += regular
        file = _file(place, stat_, digest(place) if regular else "", xattrs)
        self._known[place, xattrs] = (_identity(stat_), file)


def _sent(request, there):
    """The paths that BuildKit's client sends; None where it sends all."""
    rules = ignore.patterns(context.rules(request))
    paths = [(path, stat.S_ISDIR(found.st_mode)) for path, _entry, found in there]
    return ignore.kept(paths, rules) if rules else None


def _implied(files):
    """The folders that no entry of the classic builder's tar names: they count without a mode."""
    return {str(p) for path in files for p in PurePath(path).parents} - {"."} - files.keys()


def _identity(found):
    """What changes when a file does; the ctime with mode, owner and extended attributes, too."""
    times = found.st_mtime_ns, found.st_ctime_ns
    return found.st_size, *times, found.st_ino, found.st_mode


def digest(path) -> str:
    """The sha256 of a file's bytes."""
    found, file = hashlib.sha256(), os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size = _SMALL  # A large buffer costs more than a small file.
        while chunk := os.read(file, size):
            found.update(chunk)
            if len(chunk) < size:
                break
            size = _CHUNK
    finally:
        os.close(file)
    return found.hexdigest()


def _walk(folder, prefix):
    with os.scandir(os.path.join(folder, prefix)) as entries:
        for entry in entries:
            path = prefix + entry.name
            yield path, entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, path + "/")


def _file(path, found, digest, xattrs):
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), OTHER)
    return File(
        kind=kind,
        mode=0o777 if kind == LINK else stat.S_IMODE(found.st_mode),
        size_bytes=found.st_size if kind == FILE else 0,
        digest=digest,
        target=os.readlink(path) if kind == LINK else "",
        extra=_xattrs(path) if xattrs and kind != OTHER else (),
        mtime_ns=found.st_mtime_ns,
    )


_KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: FOLDER, stat.S_IFLNK: LINK}


def _xattrs(path):
    """The extended attributes that count: not those of the system, nor of a security module."""
    if not hasattr(os, "listxattr"):
        return ()
    names = [n for n in os.listxattr(path, follow_symlinks=False) if _counts(n)]
    return tuple((n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(names))


def _counts(name):
    return name == "security.capability" or not name.startswith(("security.", "system."))
