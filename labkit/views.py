"""Records -> HTML and plain text. The one place where text is escaped for HTML.

The plain text is stable: no duration, no digest, no size, no path. Lessons keep it as their
checked output; everything that varies is in the HTML.
"""

import html

from labkit.words import _

# Okabe-Ito, which most colour-blind people can tell apart; each has a sign and a word with it.
COLOURS = {
    "RAN": "#0072B2",
    "CACHED": "#009E73",
    "FAILED": "#D55E00",
    "NOT_REACHED": "#767676",
    "RUNNING": "#E69F00",
    "UNKNOWN": "#F0E442",
}
_ON_DARK = ("RAN", "NOT_REACHED")  # White is easier to read on these, black on the others.
SIGNS = {
    "RAN": "▶",
    "CACHED": "✓",
    "FAILED": "✗",
    "NOT_REACHED": "·",
    "RUNNING": "…",
    "UNKNOWN": "?",
}

_STYLE = "font-family: var(--jp-content-font-family, sans-serif); font-size: 14px; padding: 0 5px"
_CODE = "font-family: var(--jp-code-font-family, monospace); font-size: 13px"
_CELL = "text-align: {align}; padding: 3px 12px 3px 0; vertical-align: top; background: none"


def escape(text) -> str:
    """The text as it must stand in HTML, in an attribute too."""
    return html.escape(str(text), quote=True)


class Raw(str):
    """HTML that `escape` or this module made; a cell of this kind is put in as it is."""


def raw(content) -> Raw:
    """The content as HTML: escaped, unless it is HTML already."""
    return content if isinstance(content, Raw) else Raw(escape(content))


def state(name: str) -> Raw:
    """A step's state with its sign, on its colour: legible in a light theme and in a dark one."""
    ink = "white" if name in _ON_DARK else "black"
    return Raw(
        f'<span style="background: {COLOURS[name]}; color: {ink}; border-radius: 3px; '
        f'padding: 0 7px; white-space: nowrap">{SIGNS[name]} {escape(state_word(name))}</span>'
    )


def sign(name: str) -> Raw:
    """A step's state as its sign alone, on its colour; the word shows under the pointer."""
    ink = "white" if name in _ON_DARK else "black"
    return Raw(
        f'<span style="background: {COLOURS[name]}; color: {ink}; border-radius: 3px; '
        f'display: inline-block; width: 1.7em; text-align: center" title="{escape(state_word(name))}">{SIGNS[name]}</span>'
    )


def state_word(name: str) -> str:
    """A step's state in the learner's language."""
    return {
        "RAN": _("ran"),
        "CACHED": _("cached"),
        "FAILED": _("failed"),
        "NOT_REACHED": _("not reached"),
        "RUNNING": _("running"),
        "UNKNOWN": _("not predicted"),
    }[name]


def code(text) -> Raw:
    """Text in the type of code."""
    return Raw(
        f'<code style="{_CODE}; background: none; padding: 0; white-space: pre-wrap">{escape(text)}</code>'
    )


def box(*parts: str) -> str:
    """What a notebook shows: one `<div class="labkit">` around parts that are HTML already."""
    return f'<div class="labkit" style="{_STYLE}">{"".join(parts)}</div>'


def paragraph(text) -> Raw:
    return Raw(f'<p style="margin: 4px 0 6px">{raw(text)}</p>')


def alert(text) -> Raw:
    """A passage in the red of failures, line breaks kept."""
    return Raw(
        f'<div style="border-left: 4px solid {COLOURS["FAILED"]}; padding: 4px 10px; '
        f'margin: 4px 0 8px; white-space: pre-wrap; {_CODE}; overflow-x: auto">{escape(text)}</div>'
    )


def table(head, rows, right=()) -> Raw:
    """A table; cells that are not Raw are escaped; `right` are the columns of numbers."""
    lines = ["<tr>" + "".join(_cell("th", c, n in right) for n, c in enumerate(head)) + "</tr>"]
    for row in rows:
        lines.append(
            "<tr>" + "".join(_cell("td", c, n in right) for n, c in enumerate(row)) + "</tr>"
        )
    return Raw(
        '<table style="border-collapse: collapse; margin: 4px 0">' + "".join(lines) + "</table>"
    )


def _cell(tag, content, right):
    style = _CELL.format(align="right; white-space: nowrap" if right else "left")
    return f'<{tag} style="{style}">{raw(content)}</{tag}>'


def text_table(rows, gap="  ") -> str:
    """Rows of strings as aligned columns; the last column is not padded.

    >>> print(text_table([("1", "FROM x", "cached"), ("10", "RUN", "ran")]))
    1   FROM x  cached
    10  RUN     ran
    """
    rows = [tuple(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        gap.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    )


def instruction(instruction, stands_in: dict[str, str]) -> str:
    """The instruction as written; a FROM with a stand-in names what took its place."""
    if instruction.keyword == "FROM":
        for written, image in stands_in.items():
            if written in instruction.text and written != image:
                return _("{text}, here {image}").format(text=instruction.text, image=image)
    return instruction.text


def short(text: str, limit: int = 72) -> str:
    """The text, cut in its end to at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
