"""The files of a build context as the builders see them, and what a COPY takes of them.

A `File` holds what counts for a cache key and what does not, such as the mtime. `Files.take`
gives what a source path of COPY, ADD or a mount takes.
"""

import functools
import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

FILE, FOLDER, LINK, OTHER = "file", "folder", "link", "other"
_WILDCARD = re.compile(r"(?<!\\)[*?\[]")


@dataclass(frozen=True)
class File:
    """One file, folder or symbolic link of a build context.

    `mode` are the permission bits, `digest` the sha256 of a file's bytes, `target` where a link
    leads, `extra` what else counts (xattrs, device numbers). `mtime_ns` and `size_bytes` (for a
    file part of what counts) are there to tell what changed. `stamp` is all that enters a key.
    """

    kind: str
    mode: int
    size_bytes: int = 0
    digest: str = ""
    target: str = ""
    extra: tuple = ()
    mtime_ns: int = field(default=0, compare=False)
    stamp: str = field(init=False, compare=False, repr=False)

    @property
    def bare(self) -> str:
        """The stamp without a folder's mode, of which BuildKit does not see a change for sure.

        A folder that is there already gets the new mode, but no new digest (HandleChange of
        tonistiigi/fsutil, diskwriter.go).
        """
        return FOLDER if self.kind == FOLDER else self.stamp

    @property
    def content(self) -> tuple:
        """What the file says, apart from its mode."""
        return self.kind, self.size_bytes, self.digest, self.target, self.extra

    def __post_init__(self):
        object.__setattr__(self, "stamp", repr((self.kind, self.mode, *self.content[1:])))


@dataclass(frozen=True)
class Taken:
    """What a source path takes: the files by their path, and the key that their sum has."""

    key: str
    files: Mapping[str, File]


@dataclass(frozen=True, eq=False)
class Files:
    """A build context: path -> File, "/" between names, none for the root itself.

    `left_out` are the files that .dockerignore keeps out, with size and mtime but no digest.
    """

    files: Mapping[str, File] = field(default_factory=dict)
    left_out: Mapping[str, File] = field(default_factory=dict)
    _memo: dict = field(default_factory=dict, repr=False)

    def take(self, source: str) -> Taken | None:
        """What a source path takes, with links followed; None where there is no such file.

        Source: checksumFollow and checksum of moby/buildkit, cache/contenthash/checksum.go: a
        file counts without its name, a folder with the names in it. For its mode see `File.bare`.
        """
        return self.once(("take", source), lambda: self._take(clean(source)))

    def once(self, key, make):
        """What `make()` gives, worked out once: the files of a context do not change."""
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    def match(self, pattern: str) -> tuple[str, ...]:
        """The paths that a pattern with wildcards matches, in BuildKit's order."""
        fixed, rest = _split(clean(pattern))
        real = self.follow(fixed)
        if real is None:
            return ()
        start = real + "/" if real else ""
        rule = wildcard(rest)
        return tuple(
            path
            for path in self._ordered
            if path.startswith(start) and rule.fullmatch(path[len(start) :])
        )

    def inside(self, folder: str) -> tuple[str, ...]:
        """The paths below a folder, in order."""
        start = folder + "/"
        return tuple(p for p in self._ordered if not folder or p.startswith(start))

    @functools.cached_property
    def _ordered(self):
        return sorted(self.files, key=lambda path: path.replace("/", "\0"))

    def _take(self, path):
        path = self.follow(path)
        if path is None:
            return None
        here = self.files.get(path)
        if here and here.kind != FOLDER:
            return Taken(mark(here.stamp), {path: here})
        found = {p: self.files[p] for p in self.inside(path)}
        start = len(path) + 1 if path else 0
        listed = [text for p, f in found.items() for text in (p[start:], f.bare)]
        own = here.bare if here else ""
        return Taken(mark("\0".join([own, *listed])), ({path: here} if here else {}) | found)

    def follow(self, path: str) -> str | None:
        """The path with all links put in; None where it leads nowhere."""
        done, rest, steps = "", [n for n in path.split("/") if n], 0
        while rest:
            done = posixpath.join(done, rest.pop(0))
            here = self.files.get(done)
            if here is None:
                return None
            if here.kind == LINK:
                steps += 1
                if steps > 255:
                    return None
                target = posixpath.join("/", posixpath.dirname(done), here.target)
                rest = [n for n in posixpath.normpath(target).split("/") if n] + rest
                done = ""
        return done


def mark(value) -> str:
    """A short name of a value: equal for equal values."""
    return hashlib.blake2b(
        repr(value).encode("utf-8", "surrogateescape"), digest_size=12
    ).hexdigest()


def clean(path: str) -> str:
    """A source path as seen from the root of the context.

    >>> clean("./a//b/"), clean("/"), clean("../x")
    ('a/b', '', 'x')
    """
    return posixpath.normpath("/" + path).lstrip("/")


def _split(pattern):
    """The folders of a pattern before its first wildcard, and the rest (splitWildcards)."""
    parts = pattern.split("/")
    count = next((n for n, part in enumerate(parts) if has_wildcard(part)), len(parts))
    return "/".join(parts[:count]), "/".join(parts[count:])


def has_wildcard(path: str) -> bool:
    """Whether the path is a pattern (`*`, `?`, `[...]`)."""
    return bool(_WILDCARD.search(path))


def wildcard(pattern: str) -> re.Pattern:
    """Go's filepath.Match as a regular expression: `*` and `?` take no slash.

    >>> bool(wildcard("a*.t[^x]t").fullmatch("ab.tyt"))
    True
    """
    out, at = [], 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "*":
            out.append("[^/]*")
        elif sign == "?":
            out.append("[^/]")
        elif sign == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end]
            out.append("[" + inner.replace("[", r"\[") + "]")
            at = end
        elif sign == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        else:
            out.append(re.escape(sign))
        at += 1
    return re.compile("".join(out))
