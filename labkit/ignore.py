"""Which paths BuildKit's client leaves out of the build context: the rules of .dockerignore.

The SDK's matcher, which the classic builder's context follows, differs in exceptions (`!`) inside
folders that are left out, and always sends .dockerignore itself.

Source: moby/patternmatcher v0.6.0 (patternmatcher.go, ignorefile), tonistiigi/fsutil (filter.go).
"""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

_SPECIAL = ".+()|{}$"


@dataclass(frozen=True)
class Pattern:
    """One line of .dockerignore; `excepts` where it begins with "!"."""

    text: str
    excepts: bool
    rule: re.Pattern

    @property
    def fixed(self) -> str:
        """The pattern without a glob at its end (patternWithoutTrailingGlob)."""
        return self.text.removesuffix("/**").removesuffix("/*")

    @property
    def is_plain(self) -> bool:
        return not any(sign in "*[]?^\\" for sign in self.fixed)


def patterns(lines: Iterable[str]) -> tuple[Pattern, ...]:
    """The patterns that the lines of a .dockerignore hold (ignorefile.ReadAll, New)."""
    found = []
    for line in lines:
        text = "" if line.startswith("#") else line.strip()
        excepts = text.startswith("!")
        text = text[1:].strip() if excepts else text
        if text:
            text = posixpath.normpath(text)
            text = text[1:] if len(text) > 1 and text.startswith("/") else text
            found.append(Pattern(text, excepts, _compile(text)))
    return tuple(found)


def _compile(text):
    """A pattern as a regular expression (Pattern.compile)."""
    out, at = [], 0
    while at < len(text):
        if text.startswith("**", at):
            at += 3 if text.startswith("/", at + 2) else 2
            out.append(".*" if at >= len(text) else "(?:.*/)?")
        elif text[at] == "*":
            out.append("[^/]*")
            at += 1
        elif text[at] == "?":
            out.append("[^/]")
            at += 1
        elif text[at] == "\\" and at + 1 < len(text):
            out.append(re.escape(text[at + 1]))
            at += 2
        else:
            out.append("\\" + text[at] if text[at] in _SPECIAL + "\\" else text[at])
            at += 1
    return re.compile("".join(out), re.S)


def kept(paths: Iterable[tuple[str, bool]], rules: tuple[Pattern, ...]) -> set[str]:
    """Those of the (path, is a folder) that are sent; a folder comes before what is in it.

    A folder that is left out is sent all the same where something in it is kept.

    >>> tree = [("a", True), ("a/b", False), ("a/c", False), ("d", False)]
    >>> sorted(kept(tree, patterns(["a", "!a/c"])))
    ['a', 'a/c', 'd']
    """
    found: set[str] = set()
    matches: dict[str, list[bool]] = {}
    closed: set[str] = set()
    for path, is_folder in paths:
        parent = posixpath.dirname(path)
        if parent in closed:
            closed.add(path)
            continue
        left_out, matches[path] = _match(path, rules, matches.get(parent))
        if not left_out:
            found |= {path, *_above(path)}
        elif is_folder and _is_closed(path, rules):
            closed.add(path)
    return found


def _match(path, rules, parent):
    """Whether the path is left out, and which rules hold for it and all below."""
    left_out, holds = False, []
    for number, rule in enumerate(rules):
        match = bool(parent and parent[number])
        if not match and rule.excepts == left_out:
            match = bool(rule.rule.fullmatch(path))
        holds.append(match)
        if match:
            left_out = not rule.excepts
    return left_out, holds


def _is_closed(folder, rules):
    """Whether nothing in a folder that is left out can be kept: the client does not look inside."""
    exceptions = [rule for rule in rules if rule.excepts]
    if not all(rule.is_plain for rule in exceptions):
        return False
    return not any(f"{rule.fixed}/".startswith(folder + "/") for rule in exceptions)


def _above(path):
    while path := posixpath.dirname(path):
        yield path
