"""Draws an Experiment as a matrix: rows are edits, columns are steps, cells their true states."""

from dataclasses import dataclass

from matplotlib.patches import Rectangle

from labkit import chart_grid as words
from labkit import chart_parts as parts
from labkit import units, views
from labkit.chart_figure import INK, QUIET, heading, write
from labkit.chart_grid import Grid
from labkit.experiments import Experiment
from labkit.words import _

HEAD, LINE, NUMBERS = 58.0, 23.0, 20.0  # the heading, a row, the line with the columns' numbers
PITCH, CELL = 36.0, (34.0, 20.0)  # from a column to the next, and what of it is coloured
NARROW, GAP = 780.0, 12.0  # the least width; what parts cells from words
TITLES = (110.0, 330.0)  # the room for the rows' titles, the least and the most
SMALL = 8.5  # the size of quiet letters
FULL = 936.0  # wider than this only a matrix of very many columns


@dataclass(frozen=True)
class Layout:
    """Where everything stands: the left edge and the top of the cells, how many columns,
    and how wide a median is."""

    columns: int
    median: float
    left: float
    top: float
    points: tuple[float, float]
    legend: list

    def middle(self, row: int, column: int) -> tuple[float, float]:
        """The middle of a cell."""
        return self.left + (column + 0.5) * PITCH, self.top - (row + 0.5) * LINE


def layout(one: Grid) -> Layout:
    """The places for a grid; titles give way to cells, and the chart grows where it must."""
    cells = len(one.labels) * PITCH
    median, times = _times_width(one)
    least, most = TITLES
    longest = max(parts.width(row.title) for row in one.rows)
    free = max(least, FULL - 2 * parts.EDGE - cells - times - 2 * GAP)
    left = parts.EDGE + min(max(longest, least), most, free) + GAP
    width = max(NARROW, left + cells + GAP + times + parts.EDGE)
    legend = parts.lines(entries(one), width - 2 * parts.EDGE)
    foot = 14 + len(legend) * parts.LEGEND
    top = foot + len(one.rows) * LINE
    high = top + NUMBERS + len(one.labels) * parts.STAIR + HEAD
    return Layout(len(one.labels), median, left, top, (width, high), legend)


def _times_width(one):
    """How wide the medians are, and the times as a whole with their head."""
    medians = [parts.width(units.duration(row.seconds.median)) for row in one.rows]
    spreads = [parts.width(words.ends(row.seconds), size=SMALL) for row in one.rows]
    head = parts.width(words.times(one), size=SMALL)
    return max(medians), max(head, max(medians) + 8 + max(spreads))


def entries(one: Grid) -> list:
    """The legend: the states and the marks that are in this matrix."""
    there = {cell.state for cell in one.cells}
    found = [parts.key(name) for name in views.SIGNS if name in there]
    if any(cell.right is False for cell in one.cells):
        text = _("labkit foresaw this instead")
        found.append((lambda axes, at: parts.square(axes, at, "CACHED"), text))
    if any(cell.labkit == "UNKNOWN" for cell in one.cells):
        found.append((parts.question, _("not predicted by labkit")))
    if one.guessed:
        found.append((parts.dot, _("you said so")))
        found.append((lambda axes, at: parts.disc(axes, at, "CACHED"), _("you said this instead")))
    return found


def picture(experiment: Experiment, guess=None) -> parts.Picture:
    """The matrix of an experiment; see `charts.matrix`."""
    words.check(experiment)
    one = words.grid(experiment, guess)
    place = layout(one)
    return parts.Picture(
        points=place.points,
        alt=words.alt(one),
        head=("", _("edit"), _("time"), *range(1, len(one.labels) + 1), "labkit"),
        rows=words.rows(experiment, one),
        plain=words.plain(experiment),
        draw=lambda axes: draw(axes, one, place),
        right=(0, 2),
    )


def draw(axes, one: Grid, place: Layout) -> None:
    """The whole matrix."""
    room = place.points[0] - 2 * parts.EDGE
    heading(axes, words.title(), parts.fitted(words.below(one), room, size=10))
    _columns(axes, one, place)
    for number, row in enumerate(one.rows):
        _row(axes, row, number, place)
    parts.legend(axes, place.legend)


def _columns(axes, one, place):
    """Over each column its number, and on a stair above them the instructions."""
    height = place.top + NUMBERS / 2 - 1
    right, labels = place.points[0] - parts.EDGE, []
    for column, text in enumerate(one.labels):
        x = place.middle(0, column)[0]
        write(axes, (x, height), column + 1, ha="center", color=QUIET, fontsize=SMALL)
        labels.append((x, "", text, right - x))
    parts.stairs(axes, labels, place.top + NUMBERS)
    x = place.left + len(one.labels) * PITCH + GAP
    write(axes, (x, height), words.times(one), color=QUIET, fontsize=SMALL)


def _row(axes, row, number, place):
    x, y = place.middle(number, 0)
    start = place.left - GAP
    title = parts.squeezed(row.title, start - parts.EDGE)
    write(axes, (start, y), title, ha="right")
    for column, cell in enumerate(row.cells):
        _cell(axes, cell, place.middle(number, column))
    x = place.left + place.columns * PITCH + GAP + place.median
    write(axes, (x, y), units.duration(row.seconds.median), ha="right")
    write(axes, (x + 8, y), words.ends(row.seconds), color=QUIET, fontsize=SMALL)


def _cell(axes, cell, at):
    (x, y), (wide, high) = at, CELL
    parts.tile(axes, at, cell.state, CELL)
    if cell.right is False:
        spot, style = (x - wide / 2, y - high / 2), {"fc": "none", "ec": INK, "lw": 1.8}
        axes.add_patch(Rectangle(spot, wide, high, zorder=5, **style))
        parts.square(axes, (x + wide / 2 - 5, y + high / 2 - 5), cell.labkit)
    elif cell.labkit == "UNKNOWN":
        corner = (x + wide / 2 - 5, y + high / 2 - 6)
        parts.question(axes, corner, parts.ink(cell.state))
    corner = (x - wide / 2 + 6, y - high / 2 + 6)
    if cell.learner == cell.state:
        parts.dot(axes, corner)
    elif cell.learner:
        parts.disc(axes, corner, cell.learner)
