"""Draws piles of `Block`s into a matplotlib figure; every length is in points (1/72 inch).

Only `matplotlib.figure` is used, never pyplot: nothing is registered and nothing is shown.
"""

from dataclasses import dataclass

from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import MaxNLocator

from labkit import units, views
from labkit.words import _

# Okabe-Ito, and a hatch for each: no kind is told by its colour alone.
KINDS = {
    "FROM": ("#56B4E9", ""),
    "RUN": ("#E69F00", "///"),
    "COPY": ("#009E73", "..."),
    "ADD": ("#009E73", "ooo"),
    "WORKDIR": ("#CC79A7", "xxx"),
}
OTHER = ("#BBBBBB", "---")
INK, QUIET = "#1A1A1A", "#595959"
LINE = 16.0  # from one label to the next
TEXT = 9.5  # the size of a label's letters
MARK, WORDS = 43, 118  # from the pile to a label's mark and to its instruction; between: the size
LETTER = 0.602 * TEXT  # the width of any letter of DejaVu Sans Mono


@dataclass(frozen=True)
class Place:
    """Where a pile stands: its left and right edge, its foot, and the scale.

    `out` is 1 where the labels go to the right, -1 to the left; `room` is their width.
    """

    left: float
    right: float
    foot: float
    height: float
    points_per_byte: float
    room: float
    out: int = 1

    @property
    def edge(self) -> float:
        """The side of the pile that the labels are on."""
        return self.right if self.out == 1 else self.left


def scale(height: float, total_bytes: int) -> float:
    """Points per byte, so that `total_bytes` are `height` high."""
    return height / total_bytes if total_bytes else 0.0


def spread(wanted, gap: float, low: float, high: float) -> list[float]:
    """Heights near to `wanted` (least squares), in its order, at least `gap` apart.

    They lie between `low` and `high`; neighbours that would come too close are pooled.

    >>> spread([0, 1, 50, 100], 10, 0, 100)
    [0, 10, 50.0, 100]
    """
    pools: list[list[float]] = []
    for n, height in enumerate(wanted):
        pools.append([height - n * gap, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    level = [total / count for total, count in pools for _n in range(int(count))]
    top = high - (len(level) - 1) * gap
    return [max(low, min(top, value)) + n * gap for n, value in enumerate(level)]


def canvas(figure):
    """Axes over the whole figure whose unit is the point."""
    width, height = (72 * inches for inches in figure.get_size_inches())
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def write(axes, at, text, **style):
    """Text at a point; a $ in it is a $, not the start of a formula."""
    mono = style.pop("mono", False)
    style = {"color": INK, "fontsize": TEXT, "va": "center_baseline", **style}
    style["fontfamily"] = ["DejaVu Sans Mono" if mono else "DejaVu Sans"]
    return axes.text(*at, text, parse_math=False, **style)


def pile(axes, blocks, place: Place, strong=()) -> None:
    """The blocks on each other, to scale, each with its label; those in `strong` stand out."""
    bottom, middles = place.foot, []
    for block in blocks:
        height = block.size_bytes * place.points_per_byte
        if block.has_layer:
            _draw_block(axes, block, (place, bottom, height), block in strong)
        middles.append(bottom + height / 2)
        bottom += height
    low = place.foot + LINE / 2
    heights = spread(middles, LINE, low, place.foot + place.height - LINE / 2)
    for block, middle, height in zip(blocks, middles, heights):
        _leader(axes, place, (middle, height), block.has_layer)
        _label(axes, block, (place, height), block in strong)


def _draw_block(axes, block, where, strong):
    place, bottom, height = where
    colour, hatch = KINDS.get(block.keyword, OTHER)
    spot, width = (place.left, bottom), place.right - place.left
    faint = 0.45 if block.shared else 1
    face = Rectangle(spot, width, height, fc=colour, lw=0, alpha=faint, gid="block", zorder=2)
    axes.add_patch(face)
    if height > 4 and hatch:
        style = {"fc": "none", "ec": "#00000038", "lw": 0, "hatch": hatch, "zorder": 3}
        axes.add_patch(Rectangle(spot, width, height, **style))
    line = min(1.8 if strong else 0.7, height / 4)
    edge = Rectangle(spot, width, height, fc="none", ec=INK, lw=line, zorder=5 if strong else 4)
    axes.add_patch(edge)
    if height > 15 and block.keyword:
        middle = (place.left + width / 2, bottom + height / 2)
        tag = {"fc": colour if faint == 1 else "white", "ec": "none", "pad": 1.5}
        write(axes, middle, block.keyword, ha="center", weight="bold", bbox=tag, zorder=6)


def _leader(axes, place, heights, solid):
    """The thin line from a block to its label; dotted for what has no block."""
    middle, height = heights
    xs = [place.edge + place.out * step for step in (0, 5, MARK - 10, MARK - 5)]
    style = {"lw": 0.7, "ls": "-"} if solid else {"lw": 0.9, "ls": (0, (1, 1.5))}
    axes.plot(xs, [middle, middle, height, height], color=QUIET, zorder=1, **style)


def _label(axes, block, where, strong):
    place, height = where
    _mark(axes, block, (place.edge + place.out * MARK, height))
    weight, colour = ("bold" if strong else "normal"), (INK if block.has_layer else QUIET)
    size = units.size(block.size_bytes) if block.has_layer else _("no layer")
    side = "left" if place.out == 1 else "right"
    start = place.edge + place.out * WORDS
    end = start - 8 if place.out == 1 else place.edge - MARK - 9
    write(axes, (end, height), size, ha="right", weight=weight, color=colour)
    text = views.short(block.text, int((place.room - WORDS) / LETTER))
    write(axes, (start, height), text, ha=side, mono=True, weight=weight, color=colour)


def _mark(axes, block, at):
    """What stands before a label: the block's colour and hatch in small, or a hollow ring."""
    if not block.has_layer:
        axes.add_patch(Circle(at, 3.6, fc="white", ec=INK, lw=1, gid="ring", zorder=4))
        return
    colour, hatch = KINDS.get(block.keyword, OTHER)
    spot = (at[0] - 4.5, at[1] - 4.5)
    axes.add_patch(Rectangle(spot, 9, 9, fc=colour, lw=0, alpha=0.45 if block.shared else 1))
    axes.add_patch(Rectangle(spot, 9, 9, fc="none", ec="#00000060", lw=0.7, hatch=hatch))


def ruler(axes, place: Place, total_bytes: int) -> None:
    """Sizes at the left of a pile, with ticks."""
    for size_bytes in MaxNLocator(5).tick_values(0, total_bytes) if total_bytes else ():
        height = place.foot + size_bytes * place.points_per_byte
        if size_bytes <= total_bytes:
            axes.plot([place.left - 7, place.left - 2], [height, height], color=QUIET, lw=0.8)
            text = units.size(round(size_bytes))
            write(axes, (place.left - 10, height), text, ha="right", color=QUIET, fontsize=8.5)


def heading(axes, title: str, below: str) -> None:
    """The title and the line under it, at the top left."""
    width, height = axes.get_xlim()[1], axes.get_ylim()[1]
    fitting = min(15.0, (width - 32) / (0.72 * len(title)))  # A bold letter is 0.7 of its height.
    write(axes, (16, height - 22), title, fontsize=fitting, weight="bold")
    write(axes, (16, height - 42), below, color=QUIET, fontsize=10)


def name(axes, place: Place, words) -> None:
    """The name and size of a pile, under it."""
    title, size = words
    middle = (place.left + place.right) / 2
    write(axes, (middle, place.foot - 12), title, ha="center", weight="bold")
    write(axes, (middle, place.foot - 26), size, ha="center")


def legend(axes) -> None:
    """What the hollow ring means, at the bottom left."""
    axes.add_patch(Circle((20, 14), 3.6, fc="white", ec=INK, lw=1))
    text = _("metadata: an instruction that adds no layer and no bytes")
    write(axes, (30, 14), text, color=QUIET, fontsize=9)


def band(axes, between, place: Place, size_bytes: int) -> None:
    """The band that joins what two piles share, from the edge of one to that of the other."""
    left, right = between
    height = size_bytes * place.points_per_byte
    spot = (left, place.foot)
    if size_bytes:
        axes.add_patch(Rectangle(spot, right - left, height, fc="#F0F0F0", ec="none", gid="band"))
        for level in (place.foot, place.foot + height):
            axes.plot([left, right], [level, level], color=INK, lw=0.9, ls=(0, (4, 2)))
    text = _("shared") + "\n" + units.size(size_bytes) if size_bytes else _("nothing\nshared")
    middle = place.foot + (height / 2 if height > 34 else height + 20)
    write(axes, ((left + right) / 2, middle), text, ha="center", va="center", weight="bold")
