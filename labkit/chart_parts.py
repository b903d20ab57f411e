"""What the charts of experiments are put together from: tiles, marks, labels, a legend.

Every length is in points (1/72 inch), as in `chart_figure`.
"""

import functools
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, Rectangle
from matplotlib.textpath import TextPath

from labkit import views
from labkit.chart_figure import INK, QUIET, TEXT, write

EDGE = 16.0  # what stays free at the edge of a chart
STAIR = 15.0  # from one label of a stair to the next
LEGEND = 18.0  # from one line of a legend to the next
ROUND = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 1200, 3600)  # seconds
_ON_DARK = ("RAN", "NOT_REACHED")  # White is easier to read on these, black on the others.


@dataclass(frozen=True)
class Picture:
    """A chart that is still to be drawn: its size in points, its words, and what draws it.

    `draw(axes)` gets axes whose unit is the point; `right` are the table's columns of numbers.
    """

    points: tuple[float, float]
    alt: str
    head: tuple
    rows: tuple
    plain: str
    draw: Callable
    right: tuple[int, ...]


@functools.lru_cache(4096)
def width(text: str, size: float = TEXT, mono: bool = False, bold: bool = False) -> float:
    """How wide a text is, in points.

    >>> width(""), round(width("Dockerfile", mono=True) / 10)
    (0.0, 6)
    """
    if not text.strip():
        return 0.0
    family = "DejaVu Sans Mono" if mono else "DejaVu Sans"
    font = FontProperties(family=family, weight="bold" if bold else "normal")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font lacks
        path = TextPath((0, 0), text.replace("$", "S"), size=size, prop=font)
    return 1.03 * float(path.get_extents().width)  # drawn with hints, letters are a little wider


def fitted(text: str, room: float, **font) -> str:
    """The text, cut in its end so that it is at most `room` wide.

    >>> fitted("RUN apt-get install", 60, mono=True)
    'RUN apt-g…'
    """
    limit = len(text)
    while limit > 1 and width(views.short(text, limit), **font) > room:
        limit -= 1
    return views.short(text, limit)


def squeezed(text: str, room: float, **font) -> str:
    """The text, cut in its middle so that it is at most `room` wide: its end tells titles apart.

    >>> squeezed("requirements/production.txt changed", 120)
    'requirem….txt changed'
    """
    keep, cut = len(text), text
    while keep > 3 and width(cut, **font) > room:
        keep -= 1
        tail = round(0.6 * keep)
        cut = text[: keep - tail].rstrip() + "…" + text[-tail:].lstrip()
    return cut


def ink(state: str) -> str:
    """The colour of letters on a state's colour."""
    return "white" if state in _ON_DARK else INK


def tile(axes, at, state: str, size) -> None:
    """A step's true state: its sign on its colour; `at` is the middle."""
    (x, y), (wide, high) = at, size
    spot = (x - wide / 2, y - high / 2)
    axes.add_patch(Rectangle(spot, wide, high, fc=views.COLOURS[state], lw=0, gid="tile"))
    style = {"weight": "bold", "fontsize": 13} if state == "NOT_REACHED" else {}
    write(axes, at, views.SIGNS[state], ha="center", color=ink(state), **style)


def square(axes, at, state: str) -> None:
    """A small white square with a sign: what labkit foresaw, where it came otherwise."""
    spot = (at[0] - 5, at[1] - 5)
    axes.add_patch(Rectangle(spot, 10, 10, fc="white", ec=INK, lw=1.2, gid="wrong", zorder=6))
    _small(axes, at, views.SIGNS[state])


def disc(axes, at, state: str) -> None:
    """A small white disc with a sign: what the learner said, where it came otherwise."""
    axes.add_patch(Circle(at, 5.4, fc="white", ec=INK, lw=1.2, gid="missed", zorder=6))
    _small(axes, at, views.SIGNS[state])


def dot(axes, at, colour: str = "white") -> None:
    """A dot: the learner said so."""
    axes.add_patch(Circle(at, 2.4, fc=colour, ec=INK, lw=0.8, gid="hit", zorder=6))


def question(axes, at, colour: str = INK) -> None:
    """A small question mark: labkit did not predict this step."""
    write(axes, at, "?", ha="center", weight="bold", fontsize=7, color=colour)


def _small(axes, at, sign):
    style = {"fontsize": 6.5, "weight": "bold", "zorder": 7}
    write(axes, at, sign, ha="center", **style)


def stairs(axes, labels, foot: float, way: int = 1) -> None:
    """Labels that stand each on its own line, every one with a leader down to `foot`.

    `labels` are (x, number, text, room) from left to right; the first is the farthest from the
    foot, so that no leader meets a text. `way` is 1 above the foot, -1 below it.
    """
    for place, (x, number, text, room) in enumerate(labels):
        height = foot + way * STAIR * (len(labels) - place - 0.5)
        xs, ys = [x, x, x + 4], [foot, height, height]
        axes.plot(xs, ys, color=QUIET, lw=0.7, zorder=1, solid_capstyle="butt")
        start = x + 8
        if number:
            write(axes, (start, height), number, weight="bold")
            start += width(number, bold=True) + 7
        if text:
            cut = fitted(text, room - (start - x), mono=True)
            write(axes, (start, height), cut, mono=True)


def key(state: str):
    """A state as an entry of a legend."""
    return (lambda axes, at: tile(axes, at, state, (20, 13))), views.state_word(state)


def lines(entries: Iterable, room: float) -> list[list]:
    """The entries of a legend, (what draws it, text), put on lines at most `room` wide."""
    found, used = [[]], 0.0
    for entry in entries:
        wide = _wide(entry)
        if found[-1] and used + wide > room:
            found, used = [*found, []], 0.0
        found[-1].append(entry)
        used += wide
    return found


def _wide(entry):
    return 28 + width(entry[1], size=9) + 20


def legend(axes, rows) -> None:
    """The lines of a legend at the foot of the chart, left."""
    for number, row in enumerate(reversed(rows)):
        x, y = EDGE, 14 + number * LEGEND
        for entry in row:
            draw, text = entry
            if draw:
                draw(axes, (x + 10, y))
            write(axes, (x + (27 if draw else 0), y), text, color=QUIET, fontsize=9)
            x += _wide(entry)


def ticks(longest: float, count: int = 6) -> list[float]:
    """At most `count` + 1 round times from 0 to `longest`, in seconds, none finer than a tenth.

    >>> ticks(0.25), ticks(23), ticks(137)
    ([0.0, 0.1, 0.2], [0, 5, 10, 15, 20], [0, 30, 60, 90, 120])
    """
    step = next((s for s in ROUND if longest / s <= count), ROUND[-1])
    while longest / step > count:
        step *= 2
    return [n * step for n in range(int(longest / step + 1e-9) + 1)]
