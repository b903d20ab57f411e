"""What the tests of the charts look at: the texts of a figure, and where they stand."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg


def boxes(chart):
    """The extents of all texts, in pixels."""
    renderer = FigureCanvasAgg(chart).get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for t in chart.axes[0].texts]


def assert_readable(chart):
    """No text lies on another or leaves the picture."""
    found = boxes(chart)
    for (one, a), (other, b) in combinations(found, 2):
        assert not a.overlaps(b), (one, other)
    width, height = chart.bbox.width, chart.bbox.height
    for text, box in found:
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text
