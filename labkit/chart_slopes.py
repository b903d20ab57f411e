"""Draws what changes cost in all: a line for each recipe, its name at its end."""

from dataclasses import dataclass

from labkit import chart_costs as words
from labkit import chart_parts as parts
from labkit import units
from labkit.chart_costs import Line
from labkit.chart_figure import INK, QUIET, heading, spread, write
from labkit.words import _

WIDTH, HIGH = 780.0, 420.0
LEFT, RIGHT, FOOT, TOP = 76.0, 520.0, 56.0, 340.0  # the edges of the plot
LABEL = 17.0  # from one label at a line's end to the next
# Okabe-Ito with a marker for each, so that no line is told by its colour alone.
STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#CC79A7", "^"),
    ("#009E73", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
    ("#1A1A1A", "X"),
)


@dataclass(frozen=True)
class Scale:
    """Where a number of changes and a number of seconds stand."""

    changes: int
    seconds: float
    top: float

    def x(self, count: float) -> float:
        return LEFT + count * (RIGHT - LEFT) / self.changes

    def y(self, seconds: float) -> float:
        return FOOT + seconds * (self.top - FOOT) / self.seconds


def picture(experiments) -> parts.Picture:
    """What changes cost in all; see `charts.cost_of_order`."""
    found = words.lines(experiments)
    top = max(TOP, FOOT + LABEL * (len(found) + 2))
    most = max(line.last.most for line in found)
    scale = Scale(len(found[0].sums) - 1, max(most, 0.1), top)
    return parts.Picture(
        points=(WIDTH, top + HIGH - TOP),
        alt=words.alt(found),
        head=("", _("change"), *(line.name for line in found)),
        rows=words.rows(experiments, found),
        plain=words.plain(found),
        draw=lambda axes: draw(axes, found, scale),
        right=(0, *range(2, len(found) + 2)),
    )


def draw(axes, found: tuple[Line, ...], scale: Scale) -> None:
    """The lines with their axes and the labels at their ends."""
    room = WIDTH - 2 * parts.EDGE
    names = {line.name: parts.squeezed(line.name, 150, bold=True) for line in found}
    below = parts.fitted(words.below(found), room, size=10)
    heading(axes, words.title(found, names), below)
    _axes(axes, scale)
    for number, line in enumerate(found):
        _line(axes, line, scale, STYLES[number % len(STYLES)])
    _ends(axes, found, scale)


def _axes(axes, scale):
    for seconds in parts.ticks(scale.seconds):
        y = scale.y(seconds)
        axes.plot([LEFT, RIGHT], [y, y], color="#EDEDED", lw=0.8, zorder=0)
        text = units.duration(seconds)
        write(axes, (LEFT - 12, y), text, ha="right", color=QUIET, fontsize=8.5)
    axes.plot([LEFT, RIGHT], [FOOT, FOOT], color=QUIET, lw=0.8, zorder=1)
    step = -(-scale.changes // 20)
    for count in range(0, scale.changes + 1, step):
        at = (scale.x(count), FOOT - 14)
        write(axes, at, count, ha="center", color=QUIET, fontsize=8.5)
    at = ((LEFT + RIGHT) / 2, FOOT - 32)
    write(axes, at, _("changes of the source"), ha="center", color=QUIET, fontsize=9)


def _line(axes, line, scale, style):
    colour, marker = style
    xs = [scale.x(n) for n in range(len(line.sums))]
    low, middle, high = (
        [scale.y(getattr(s, name)) for s in line.sums] for name in ("least", "median", "most")
    )
    if line.last.count > 1:
        axes.fill_between(xs, low, high, color=colour, alpha=0.2, lw=0, gid="band", zorder=2)
    look = {"color": colour, "lw": 2, "marker": marker, "ms": 6, "mec": "white", "mew": 0.8}
    axes.plot(xs, middle, **look, zorder=3, gid="line", clip_on=False)


def _ends(axes, found, scale):
    """At the ends the names and sums, and between the outer two, the gap."""
    ends = [line.last.median for line in found]
    wanted = [(seconds, n, line) for n, (seconds, line) in enumerate(zip(ends, found))]
    if len(found) > 1:
        wanted.append(((min(ends) + max(ends)) / 2, -1, None))
    wanted.sort(key=lambda one: one[:2])
    heights = spread([scale.y(s) for s, _n, _l in wanted], LABEL, FOOT, scale.top + LABEL)
    for height, (seconds, number, line) in zip(heights, wanted):
        if line is None:
            _gap(axes, (min(ends), max(ends)), height, scale)
        else:
            _end(axes, line, (scale.y(seconds), height), STYLES[number % len(STYLES)])


def _end(axes, line, heights, style):
    y, height = heights
    colour, marker = style
    xs = [RIGHT + 6, RIGHT + 20, RIGHT + 34, RIGHT + 40]
    axes.plot(xs, [y, y, height, height], color=QUIET, lw=0.7, zorder=1)
    axes.plot([RIGHT + 48], [height], color=colour, marker=marker, ms=6, mec="white", mew=0.5)
    start = RIGHT + 57
    time = units.duration(line.last.median)
    room = WIDTH - 8 - start - parts.width(time) - 8
    name = parts.squeezed(line.name, room, bold=True)
    write(axes, (start, height), name, weight="bold")
    write(axes, (start + parts.width(name, bold=True) + 8, height), time)


def _gap(axes, ends, height, scale):
    """A bracket from the lowest end to the highest, and how many seconds that is."""
    low, high = map(scale.y, ends)
    x = RIGHT + 13
    if high - low > 4:
        axes.plot([x - 3, x, x, x - 3], [low, low, high, high], color=INK, lw=1.2, zorder=2)
        middle, xs = (low + high) / 2, [x, RIGHT + 20, RIGHT + 34, RIGHT + 40]
        axes.plot(xs, [middle, middle, height, height], color=INK, lw=0.7, zorder=1)
    text = _("{time} between them").format(time=units.duration(ends[1] - ends[0]))
    write(axes, (RIGHT + 45, height), text)
