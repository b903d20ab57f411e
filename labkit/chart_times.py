"""Draws two builds as time lines, one above the other; a wedge joins the two ends of a step."""

from dataclasses import dataclass

from matplotlib.patches import Polygon, Rectangle

from labkit import chart_lanes as words
from labkit import chart_parts as parts
from labkit import units, views
from labkit.chart_figure import INK, QUIET, heading, write
from labkit.chart_lanes import Bar, Duel, Lane
from labkit.words import _, ngettext

WIDTH, HEAD, AXIS = 936.0, 58.0, 28.0  # the chart, its heading, the time axis with its numbers
NAMES, TOTAL = (60.0, 170.0), 172.0  # the room for the names, and what is right of the longest
HIGH, BETWEEN = 26.0, 80.0  # a lane, and the wedges from one to the other
SHARE, LABELS = 0.02, 10  # a step below this share of the axis has no label; so many have one
WEDGES = {"CACHED": "#B8E4D8", "RAN": "#C7E0EF", "": "#E5E5E5"}  # pale, as the lanes are not


@dataclass(frozen=True)
class Layout:
    """Where the lanes stand: their left end, the scale, the foot of each, the axis below them."""

    left: float
    points_per_second: float
    feet: tuple[float, float]
    axis: float
    points: tuple[float, float]
    legend: list

    def x(self, seconds: float) -> float:
        """Where a time is."""
        return self.left + seconds * self.points_per_second


def longest(two: Duel) -> float:
    """The length of the axis, in seconds."""
    return max(two.a.reach, two.b.reach, 0.01)


def layout(two: Duel) -> Layout:
    """The places for two lanes, and above and below them for their labels."""
    least, most = NAMES
    name = max(parts.width(lane.name, bold=True) for lane in (two.a, two.b))
    left = parts.EDGE + min(max(name, least), most) + 12
    scale = (WIDTH - parts.EDGE - TOTAL - left) / longest(two)
    legend = parts.lines(entries(two), WIDTH - 2 * parts.EDGE)
    axis = 14 + len(legend) * parts.LEGEND + AXIS
    above, below = (len(told(lane, longest(two))) * parts.STAIR for lane in (two.a, two.b))
    second = axis + below + 14
    first = second + HIGH + BETWEEN
    high = first + HIGH + 6 + above + HEAD
    return Layout(left, scale, (first, second), axis, (WIDTH, high), legend)


def told(lane: Lane, whole: float) -> list[tuple[float, str, str]]:
    """The labels of a lane: (seconds, in bold, as code), for large steps and what was cached."""
    runs = _runs(lane.bars)
    large = sorted((b.length for run in runs for b in run[:1] if b.state != "CACHED"), reverse=True)
    limit = max([SHARE * whole, *large[LABELS:][:1]])
    found = []
    for run in runs:
        first, cached = run[0], run[0].state == "CACHED"
        if cached or first.state == "FAILED" or first.length >= limit:
            found.append(_cached(run) if cached else _ran(first))
    return found


def _runs(bars):
    """The bars in their order; neighbours from the cache as one run; without what takes no time."""
    found = []
    for bar in bars:
        if bar.state == "CACHED":
            joins = found and found[-1][0].state == "CACHED"
            found[-1:] = [[*found[-1], bar]] if joins else [*found[-1:], [bar]]
        elif bar.drawn:
            found.append([bar])
    return found


def _cached(run):
    sign = views.SIGNS["CACHED"]
    if len(run) == 1:
        return run[0].start, sign, run[0].text
    text = ngettext("{count} step from the cache", "{count} steps from the cache", len(run))
    return run[0].start, f"{sign} {text.format(count=len(run))}", ""


def _ran(bar):
    words = [views.SIGNS["FAILED"]] if bar.state == "FAILED" else []
    words += [units.duration(bar.length)] if bar.seconds else []
    return bar.start, " ".join(words), bar.text


def entries(two: Duel) -> list:
    """The legend: the states, the wedges and the hollow end, as far as they are there."""
    there = {bar.state for lane in (two.a, two.b) for bar in lane.bars}
    found = [parts.key(name) for name in views.SIGNS if name in there - {"NOT_REACHED"}]
    kinds = {_kind(a, b) for a, b in two.twins if a.length or b.length}
    texts = {
        "CACHED": _("saved by the cache"),
        "RAN": _("made again"),
        "": _("the same step"),
    }
    found += [(_swatch(WEDGES[kind]), texts[kind]) for kind in texts if kind in kinds]
    if any(lane.total.median > lane.end for lane in (two.a, two.b)):
        found.append((_hollow, _("outside the steps: reading the context, writing the image")))
    return found


def _swatch(colour):
    def draw(axes, at):
        x, y = at
        corners = [(x - 10, y + 6), (x + 10, y + 6), (x - 4, y - 6), (x - 10, y - 6)]
        axes.add_patch(Polygon(corners, fc=colour, lw=0))

    return draw


def _hollow(axes, at):
    _outline(axes, (at[0] - 10, at[1] - 6), 20, 12)


def _outline(axes, spot, wide, high):
    style = {"fc": "white", "ec": QUIET, "lw": 0.8, "ls": (0, (3, 2))}
    axes.add_patch(Rectangle(spot, wide, high, gid="rest", **style))


def picture(a, b) -> parts.Picture:
    """Two builds in time; see `charts.times`."""
    two = words.duel(a, b)
    place = layout(two)
    return parts.Picture(
        points=place.points,
        alt=words.alt(two),
        head=words.head(two),
        rows=words.rows(two),
        plain=words.plain(two),
        draw=lambda axes: draw(axes, two, place),
        right=(0, 2, 3),
    )


def draw(axes, two: Duel, place: Layout) -> None:
    """Both lanes, what joins them, and the axis."""
    room = WIDTH - 2 * parts.EDGE
    cut = {k: parts.squeezed(x.name, 200, bold=True) for k, x in (("a", two.a), ("b", two.b))}
    heading(axes, words.title(two, cut), parts.fitted(words.below(two), room, size=10))
    _axis(axes, longest(two), place)
    for first, second in two.twins:
        _wedge(axes, (first, second), place)
    for lane, foot, way in zip((two.a, two.b), place.feet, (1, -1)):
        _lane(axes, lane, foot, place)
        _labels(axes, told(lane, longest(two)), (foot, way), place)
    parts.legend(axes, place.legend)


def _axis(axes, whole, place):
    top = place.feet[0] + HIGH
    axes.plot([place.left, place.x(whole)], [place.axis - 4] * 2, color=QUIET, lw=0.8)
    for seconds in parts.ticks(whole):
        x = place.x(seconds)
        axes.plot([x, x], [place.axis - 4, top], color="#EDEDED", lw=0.8, zorder=0)
        text = units.duration(seconds)
        write(axes, (x, place.axis - 14), text, ha="center", color=QUIET, fontsize=8.5)


def _kind(first: Bar, second: Bar) -> str:
    """What became of a step: taken from the cache, made again, or neither."""
    if second.state == "CACHED" and first.state != "CACHED":
        return "CACHED"
    return "RAN" if first.state == "CACHED" and second.state != "CACHED" else ""


def _wedge(axes, pair, place):
    first, second = pair
    if second.state == "NOT_REACHED" or not (first.length or second.length):
        return
    top, foot = place.feet[0], place.feet[1] + HIGH
    corners = [(place.x(t), top) for t in (first.start, first.end)]
    corners += [(place.x(t), foot) for t in (second.end, second.start)]
    style = {"fc": WEDGES[_kind(first, second)], "ec": "white", "lw": 0.8, "zorder": 0.5}
    axes.add_patch(Polygon(corners, gid="wedge", **style))


def _lane(axes, lane, foot, place):
    middle = foot + HIGH / 2
    name = parts.squeezed(lane.name, place.left - 12 - parts.EDGE, bold=True)
    write(axes, (place.left - 12, middle), name, ha="right", weight="bold")
    if lane.total.median > lane.end:
        start, stop = place.x(lane.end), place.x(lane.total.median)
        _outline(axes, (start, foot + 5), stop - start, HIGH - 10)
    for bar in lane.bars:
        _bar(axes, bar, foot, place)
    if lane.total.count > 1:
        _whisker(axes, lane.total, middle, (place, lane.total.median))
    x = place.x(lane.reach) + 9
    write(axes, (x, middle), units.duration(lane.total.median), weight="bold", fontsize=11)


def _bar(axes, bar, foot, place):
    x, wide = place.x(bar.start), bar.length * place.points_per_second
    colour = views.COLOURS[bar.state]
    if bar.state == "CACHED":
        spot = (x - 1.2, foot - 4)
        axes.add_patch(Rectangle(spot, 2.4, HIGH + 8, fc=colour, lw=0, gid="tick", zorder=4))
    elif bar.drawn:
        wide = max(wide, 4 if bar.state == "FAILED" else 0)
        style = {"fc": colour, "ec": "white", "lw": min(0.8, wide / 4), "zorder": 3}
        axes.add_patch(Rectangle((x, foot), wide, HIGH, gid="bar", **style))
        if wide > (10 if bar.state == "FAILED" else 16):
            at, hue = (x + wide / 2, foot + HIGH / 2), parts.ink(bar.state)
            write(axes, at, views.SIGNS[bar.state], ha="center", color=hue, zorder=4)
        if bar.seconds and bar.seconds.count > 1 and wide > 16:
            _whisker(axes, bar.seconds, foot + 5, (place, bar.end))


def _whisker(axes, seconds, height, where):
    """From the shortest to the longest, about the place where the median ends."""
    place, end = where
    low, high = (place.x(end + t - seconds.median) for t in (seconds.least, seconds.most))
    style = {"color": INK, "lw": 1.0, "zorder": 5, "gid": "whisker"}
    axes.plot([low, high], [height, height], **style)
    for x in (low, high):
        axes.plot([x, x], [height - 3, height + 3], **style)


def _labels(axes, found, where, place):
    foot, way = where
    start = foot + HIGH + 1 if way == 1 else foot - 5
    right = WIDTH - parts.EDGE
    stairs = []
    for seconds, bold, code in found:
        x = place.x(seconds) + (0 if bold.startswith(views.SIGNS["CACHED"]) else 4)
        stairs.append((x, bold, code, right - x))
    parts.stairs(axes, stairs, start, way)
