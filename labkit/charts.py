"""A Build or a History -> a figure of its layers; the figure is returned, never shown.

    python -m labkit.charts RECORDING FOLDER

makes the pictures of the README, `layers.en.png` and `layers.ru.png`, from a recorded build.
"""

import base64
import io
import os
import sys
import warnings
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from labkit import (
    builds,
    chart_matrix,
    chart_slopes,
    chart_times,
    chart_words,
    recording,
    units,
    views,
)
from labkit import chart_figure as draw
from labkit.chart_blocks import gather, largest
from labkit.words import LANGUAGES, _

HEAD, FOOT, NAMES = 62, 36, 34  # what the heading, the legend and two names take, in points
LEAST = 300  # the height of a pile of few blocks


class Chart(Figure):
    """A matplotlib Figure that also says what it shows.

    `alt` says it in a sentence or two, `rows` (with their `head`) as a table, in the learner's
    language; `plain` is the form that is true of each base image and each builder, without a
    size, a digest or a duration.
    """

    def __init__(self, points=(780, 400), *, alt="", head=(), rows=(), plain="", right=(0, 2)):
        super().__init__([length / 72 for length in points], dpi=144, facecolor="white")
        self.alt, self.head, self.rows, self.plain = alt, tuple(head), tuple(rows), plain
        self.right = tuple(right)

    def __repr__(self):
        return f"<Chart {self.plain.splitlines()[0] if self.plain else ''}>"

    def __str__(self):
        return self.plain

    def png(self) -> bytes:
        """The picture as PNG; in 256 colours, since a notebook keeps it: a third of the size."""
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            # A letter that DejaVu Sans lacks is drawn as a box; the table has it.
            warnings.filterwarnings("ignore", message="Glyph")
            self.savefig(buffer, format="png", dpi=144, facecolor="white")
        image = Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small = io.BytesIO()
        image.save(small, format="png", optimize=True)
        return small.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.plain, "text/html": self._page()}

    def _page(self):
        source = "data:image/png;base64," + base64.b64encode(self.png()).decode()
        width = round(self.get_size_inches()[0] * 96)
        image = (
            f'<img alt="{views.escape(self.alt)}" src="{source}" width="{width}" '
            'style="max-width:100%; height:auto">'
        )
        words = _("the same as a table")
        table = views.table(self.head, self.rows, right=self.right)
        summary = f"<summary>{views.escape(words)}</summary>"
        return views.box(image, f"<details>{summary}{table}</details>")


def layer_sizes(image) -> Chart:
    """The layers of a Build or History as one pile, to scale, the base at the bottom.

    What adds no layer is shown by a hollow ring. That is asked of the layer, not of the
    instruction: a RUN that changes nothing has a layer of 0 bytes on BuildKit and none on the
    classic builder. The plain form calls metadata what is so on both (ENV, ENTRYPOINT, ...).
    Raises InputError where there are no layers, as after a build that failed.
    """
    one = chart_words.pile(image)
    shown = gather(one.blocks)
    height = max(LEAST, draw.LINE * len(shown))
    chart = Chart(
        (780, height + HEAD + FOOT),
        alt=chart_words.alt(one),
        head=("", _("instruction"), _("size")),
        rows=chart_words.rows(one),
        plain=chart_words.plain(one),
    )
    axes = draw.canvas(chart)
    place = draw.Place(86, 190, FOOT, height, draw.scale(height, one.size_bytes), room=578)
    title = f"{views.short(one.name, 60)}: {units.size(one.size_bytes)}"
    draw.heading(axes, title, chart_words.below(one))
    draw.ruler(axes, place, one.size_bytes)
    draw.pile(axes, shown, place, strong=[b for b in shown if b is largest(one.blocks)])
    _explain_rings(axes, shown)
    return chart


def compare(a, b) -> Chart:
    """Two Builds or Histories as two piles to one scale; a band joins the layers they share.

    Shared is what `builds.compare` says: equal digests from the bottom up. What only one has
    stands out. Raises InputError where one has no layers.
    """
    two = chart_words.pair(a, b)
    shown = [gather(one.blocks) for one in (two.a, two.b)]
    height = max(LEAST, draw.LINE * max(map(len, shown)))
    chart = Chart(
        (936, height + HEAD + FOOT + NAMES),
        alt=chart_words.pair_alt(two),
        head=("", _("instruction"), _("size"), _("in")),
        rows=chart_words.pair_rows(two),
        plain=chart_words.pair_plain(two),
    )
    axes = draw.canvas(chart)
    below = _("to one scale, the oldest layers at the bottom; in bold: what only one has")
    draw.heading(axes, chart_words.pair_title(two), below)
    _draw_pair(axes, (two, shown), height)
    _explain_rings(axes, [*shown[0], *shown[1]])
    return chart


def _draw_pair(axes, pair, height):
    two, shown = pair
    points = draw.scale(height, max(two.a.size_bytes, two.b.size_bytes))
    left = draw.Place(348, 412, FOOT + NAMES, height, points, room=336, out=-1)
    right = draw.Place(524, 588, FOOT + NAMES, height, points, room=336)
    draw.band(axes, (left.right, right.left), left, two.shared_bytes)
    for one, found, place in zip((two.a, two.b), shown, (left, right)):
        own = [block for block in found if block.has_layer and not block.shared]
        draw.pile(axes, found, place, strong=own)
        draw.name(axes, place, (views.short(one.name, 24), units.size(one.size_bytes)))


def _explain_rings(axes, shown):
    if not all(block.has_layer for block in shown):
        draw.legend(axes)


def matrix(experiment, guess=None) -> Chart:
    """An Experiment as a matrix: a row for each edit, a column for each step of the Dockerfile.

    Each cell has its true state; a mark in its corner shows where labkit foresaw another, or
    nothing. `guess` holds the learner's own predictions: a list with one for each build (None
    for one left out), or a dict by the edit's title (of the first build that has it) or by the
    build's number, from 0; each as `Trial.beside` takes it. Raises InputError for what is no
    experiment or has no builds, and for predictions that do not fit.
    """
    return _drawn(chart_matrix.picture(experiment, guess))


def times(a, b) -> Chart:
    """Two Builds, or two Trials, as time lines one above the other on one axis.

    The steps are laid end to end, though those of several stages may overlap in truth; a step
    from the cache is a tick, one that was not reached is absent. Wedges join the same step in
    both. Of a Trial with several rounds the medians are drawn, with whiskers from the shortest to
    the longest. Raises InputError for what is neither a Build nor a Trial, or has no steps.
    """
    return _drawn(chart_times.picture(a, b))


def cost_of_order(experiments) -> Chart:
    """The seconds that changes of the source cost in all, a line for each recipe.

    `experiments` is a dict from a name to an Experiment, all with the same number of edits. The
    first build is left out of the sum and named in the caption: every recipe pays it once. Where
    all was built several times, the line is the median and a band goes from the least to the
    most. Raises InputError for no experiments, for those without edits, and for those of
    different lengths.
    """
    return _drawn(chart_slopes.picture(experiments))


def _drawn(picture):
    p = picture
    chart = Chart(p.points, alt=p.alt, head=p.head, rows=p.rows, plain=p.plain, right=p.right)
    p.draw(draw.canvas(chart))
    return chart


def main(path: str, folder: str) -> None:
    """Draw a recorded build in each language."""
    for code in LANGUAGES:
        os.environ["LABKIT_LANG"] = code
        target = Path(folder) / f"layers.{code}.png"
        target.write_bytes(layer_sizes(builds.read(recording.load(path))).png())
        print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
