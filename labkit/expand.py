"""What a word of a Dockerfile is once quotes, escapes and variables are put in.

The rules are those of `shell.Lex` (moby/buildkit, frontend/dockerfile/shell/lex.go), which both
builders use. What only newer versions know, such as `${NAME#prefix}`, is not guessed:
`Unclear` says so.
"""

import re
from collections.abc import Mapping

_NAME = re.compile(r"\d+|[@*#?\-$!]|\w+", re.ASCII)
_MODIFIER = re.compile(r"(:?)([-+?])")
_LOOSE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


class Unclear(ValueError):
    """A word whose value depends on the builder's version, or that no builder takes."""


def word(text: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """The word with quotes and escapes taken away and variables put in.

    Raises Unclear for what not every version of the builders reads alike.

    >>> word("'$A' \\"$A\\"/${B:-c}", {"A": "x"})
    '$A x/c'
    """
    return _until(text, 0, "", values, escape)[0]


def loose(text: str, values: Mapping[str, str]) -> str:
    """The text with $NAME, ${NAME} and ${NAME:-default} put in, for a name to show.

    >>> loose("ubuntu:${V:-24.04}", {}), loose("$A-b", {"A": "x"})
    ('ubuntu:24.04', 'x-b')
    """
    return _LOOSE.sub(lambda m: values.get(m[1] or m[2]) or m[3] or "", text)


def text(source: str, values: Mapping[str, str]) -> str:
    """A heredoc's text: variables are put in, quotes are left (Lex's SkipProcessQuotes)."""
    return _until(source, 0, "", values, "\\", quotes=False)[0]


def _until(source, at, stop, values, escape, quotes=True):
    """(the word up to `stop`, the place after it)."""
    out = []
    while at < len(source):
        sign = source[at]
        if sign == stop:
            return "".join(out), at + 1
        if sign == "$":
            piece, at = _dollar(source, at, values, escape)
        elif sign == "'" and quotes:
            piece, at = _single(source, at)
        elif sign == '"' and quotes:
            piece, at = _double(source, at, values, escape)
        elif sign == escape:
            piece, at = source[at + 1 : at + 2], at + 2
        else:
            piece, at = sign, at + 1
        out.append(piece)
    if stop:
        raise Unclear(source)
    return "".join(out), at


def _single(source, at):
    end = source.find("'", at + 1)
    if end < 0:
        raise Unclear(source)
    return source[at + 1 : end], end + 1


def _double(source, at, values, escape):
    out, at = [], at + 1
    while at < len(source):
        sign = source[at]
        if sign == '"':
            return "".join(out), at + 1
        if sign == "$":
            piece, at = _dollar(source, at, values, escape)
        elif sign == escape:
            follows = source[at + 1 : at + 2]
            taken = follows in ('"', "$", escape)
            piece, at = (follows, at + 2) if taken else (sign, at + 1)
        else:
            piece, at = sign, at + 1
        out.append(piece)
    raise Unclear(source)


def _dollar(source, at, values, escape):
    if source[at + 1 : at + 2] != "{":
        name = _NAME.match(source, at + 1)
        return (values.get(name[0], ""), name.end()) if name else ("$", at + 1)
    name = _NAME.match(source, at + 2)
    if not name:
        raise Unclear(source)
    value, at = values.get(name[0]), name.end()
    if source[at : at + 1] == "}":
        return value or "", at + 1
    modifier = _MODIFIER.match(source, at)
    if not modifier or (not modifier[1] and modifier[2] != "?"):
        raise Unclear(source)  # ${A-b}, ${A#b}, ${A/b/c}: since BuildKit 0.11, 0.13, 0.13
    other, at = _until(source, modifier.end(), "}", values, escape)
    if modifier[2] == "+":
        return (other if value else ""), at
    if modifier[2] == "?" and not value:
        raise Unclear(source)
    return value or other, at
