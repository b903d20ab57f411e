"""A folder -> the `Files` of a build context, as the builder is sent them; digests are kept.

A file is hashed again only where its size, mtime, ctime or inode have changed since. Which files
.dockerignore leaves out is decided as in `context.py`.
"""

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath

from labkit import context
from labkit.files import FILE, FOLDER, LINK, OTHER, File, Files

_CHUNK = 1 << 20


class Snapshots:
    """Takes snapshots of folders and remembers the digests of files."""

    def __init__(self):
        self._digests: dict[str, tuple] = {}
        self.hashed = 0

    def take(self, builder: str, request) -> Files:
        """The files of a request's context, and those that .dockerignore leaves out.

        Extended attributes travel to BuildKit alone.
        """
        folder, xattrs = str(request.folder), builder == "buildkit"
        inside = set(context.synced(request) if xattrs else context.entries(request))
        files, left_out, jobs = {}, {}, []
        for path, entry in _walk(folder, ""):
            found = entry.stat(follow_symlinks=False)
            if path not in inside:
                left_out[path] = _file(entry.path, found, "", False)
            elif stat.S_ISREG(found.st_mode):
                jobs.append((path, entry.path, found))
            else:
                files[path] = _file(entry.path, found, "", xattrs)
        for (path, place, found), digest in zip(jobs, self._all(jobs)):
            files[path] = _file(place, found, digest, xattrs)
        for path in () if xattrs else _implied(files):
            files[path] = File(FOLDER, -1)
        return Files(dict(sorted(files.items())), left_out)

    def _all(self, jobs):
        wanted = [(place, found) for _path, place, found in jobs if not self._known(place, found)]
        self.hashed += len(wanted)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda job: self._hash(*job), wanted, chunksize=16))
        return [self._digests[place][1] for _path, place, _found in jobs]

    def _known(self, place, found):
        return self._digests.get(place, (None,))[0] == _identity(found)

    def _hash(self, place, found):
        self._digests[place] = (_identity(found), digest(place))


def _implied(files):
    """The folders that no entry of the classic builder's tar names: they count without a mode."""
    return {str(p) for path in files for p in PurePath(path).parents} - {"."} - files.keys()


def _identity(found):
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def digest(path) -> str:
    """The sha256 of a file's bytes."""
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
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
