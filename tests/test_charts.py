"""The charts: to scale, nothing overlaps, and the words say the same."""

import base64
import re
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from itertools import groupby
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from labkit import builds, chart_words, charts, dockerfile, recording, units
from labkit.chart_blocks import blocks, clearly_largest, gather, largest
from labkit.errors import InputError
from labkit.history import History
from labkit.layers import Layer
from tests.figures import assert_readable, boxes

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))
ENV, MB = None, 10**6
COUNTS = (1, 6, 30, 100)
LONG_NAME = "a-registry.example.org/with/a/very/long/name/" * 3
LONG = "RUN apt-get install -y " + " ".join(f"a-package-with-a-long-name-{n}" for n in range(9))


def made(sizes, tag="made", base=80 * MB, shared=1):
    """A Build FROM a base, a layer of each size above it (ENV, None, has none).

    The `shared` lowest of its layers all made Builds have, the others only those of its tag.
    """
    words = [
        "ENV N={n}" if s is ENV else ("RUN echo {n}", "COPY f{n} /", LONG)[n % 3]
        for n, s in enumerate(sizes)
    ]
    text = "FROM ubuntu:24.04\n" + "\n".join(w.format(n=n) for n, w in enumerate(words))
    parsed = dockerfile.parse(text)

    def digest(number):
        return f"sha256:{number}" if number < shared else f"sha256:{number}-{tag}"

    layers = [
        Layer(i, i.text, size or 0, None if size is ENV else digest(n), size is not ENV)
        for n, (i, size) in enumerate(zip(parsed.instructions, [base, *sizes]))
    ]
    return builds.Build(tag, "buildkit", parsed, (), tuple(layers), "sha256:1", 1.0)


def kinds(count):
    """Images of `count` rows: equal layers, tiny ones, growing ones with metadata, empty ones."""
    yield made([2 * MB] * (count - 1))
    yield made([24] * (count - 1))
    yield made([ENV if n % 3 == 0 else n**3 * 10 for n in range(count - 1)])
    yield made([0] * (count - 1), base=0)
    yield made([ENV] * (count - 1), tag=LONG_NAME)


def patches(chart, gid):
    return [p for p in chart.axes[0].patches if p.get_gid() == gid]


@pytest.fixture(params=["en", "ru"])
def language(request, monkeypatch):
    monkeypatch.setenv("LABKIT_LANG", request.param)
    return request.param


@pytest.mark.parametrize("count", COUNTS)
def test_no_two_labels_overlap(count, language):
    for build in kinds(count):
        assert_readable(charts.layer_sizes(build))


@pytest.mark.parametrize("count", COUNTS)
def test_no_two_labels_of_two_piles_overlap(count, language):
    for build in kinds(count):
        assert_readable(charts.compare(build, made([5 * MB] * 4, tag=LONG_NAME + "2")))
        assert_readable(charts.compare(made([2 * MB] * 9, shared=5), replace(build, tag="other")))


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_a_recorded_build_is_drawn_readably(file, language):
    build = builds.read(recording.load(file))
    if not build.ok:
        with pytest.raises(InputError) as caught:
            charts.layer_sizes(build)
        assert len(caught.value.parts()) == 3
    else:
        assert_readable(charts.layer_sizes(build))
        assert_readable(charts.compare(build, made([MB, ENV])))


@pytest.mark.parametrize("count", COUNTS)
def test_blocks_are_to_scale_within_a_pixel(count):
    for build in kinds(count):
        chart = charts.layer_sizes(build)
        drawn = [patch.get_window_extent() for patch in patches(chart, "block")]
        shown = [b.size_bytes for b in gather(blocks(build)) if b.has_layer]
        pile = max(b.y1 for b in drawn) - min(b.y0 for b in drawn)
        per_byte = pile / build.size_bytes if build.size_bytes else 0
        assert [b.height for b in drawn] == pytest.approx([s * per_byte for s in shown], abs=1)
        for under, over in zip(drawn, drawn[1:]):
            assert over.y0 == pytest.approx(under.y1, abs=1)
        assert sum(shown) == build.size_bytes


def test_two_piles_have_one_scale_and_one_foot():
    chart = charts.compare(made([20 * MB]), made([300 * MB], tag="other"))
    drawn = sorted((p.get_window_extent() for p in patches(chart, "block")), key=lambda b: b.x0)
    piles = [list(group) for _x, group in groupby(drawn, lambda b: b.x0)]
    heights = [sum(b.height for b in pile) for pile in piles]
    assert heights[1] / heights[0] == pytest.approx(380 / 100)
    assert {min(b.y0 for b in pile) for pile in piles} == {piles[0][0].y0}


def test_the_order_is_that_of_the_dockerfile_with_the_base_at_the_bottom():
    build = made([MB, ENV, 24, 7 * MB])
    texts = charts.layer_sizes(build).axes[0].texts
    labels = [t for t in texts if t.get_fontfamily() == ["DejaVu Sans Mono"]]
    labels.sort(key=lambda t: t.get_position()[1])
    told = [t.get_text().split()[0] for t in labels]
    assert told == [i.keyword for i in build.dockerfile.instructions]
    assert told[0] == "FROM"


def test_metadata_has_a_ring_and_no_block():
    chart = charts.layer_sizes(made([MB, ENV, ENV]))
    assert len(patches(chart, "ring")) == 2
    assert len(patches(chart, "block")) == 2


def test_an_empty_layer_is_a_layer():
    chart = charts.layer_sizes(made([0, ENV]))
    assert len(patches(chart, "block")) == 2
    assert [row[2] for row in chart.rows] == ["80 MB", "0 B", "metadata, no layer"]


def test_rows_of_the_base_are_one_block():
    build = made([MB])
    base = build.layers[0]
    empty = replace(base, size_bytes=0, digest=None, has_layer=False)
    rows = (base, empty, replace(base, digest="sha256:x"))
    found = blocks(replace(build, layers=(*rows, build.layers[1])))
    assert [(b.keyword, b.size_bytes, b.count) for b in found] == [
        ("FROM", 160 * MB, 2),
        ("RUN", MB, 1),
    ]


def test_a_stand_in_is_named_in_the_picture_and_not_in_the_plain_form():
    build = made([MB])
    told = recording.Recording("buildkit", "", stands_in={"ubuntu:24.04": "labkit/base:debian-12"})
    chart = charts.layer_sizes(replace(build, recording=told))
    assert any("labkit/base:debian-12" in text for text, _box in boxes(chart))
    assert "labkit/base" not in chart.plain and "FROM ubuntu:24.04" in chart.plain


def test_gathering_keeps_order_bytes_and_layers():
    found = blocks(made([ENV if n % 4 == 0 else (n % 2) * 24 for n in range(60)] + [50 * MB]))
    shown = gather(found)
    assert [b.keyword for b in shown] == ["FROM", "", found[-1].keyword]
    assert "45 layers together" in shown[1].text and "ENV ×15" in shown[1].text
    assert sum(b.size_bytes for b in shown) == sum(b.size_bytes for b in found)
    assert sum(b.count for b in shown) == sum(b.count for b in found)


def test_what_can_be_told_apart_is_not_gathered():
    for sizes in ([2 * MB] * 99, [24] * 20):
        found = blocks(made(sizes))
        assert gather(found) == found


def test_many_layers_make_a_taller_figure_that_all_labels_fit():
    short, tall = (charts.layer_sizes(made([2 * MB] * n)) for n in (5, 99))
    assert tall.get_figheight() > 3 * short.get_figheight()
    assert sum(text.startswith(("RUN", "COPY")) for text, _box in boxes(tall)) >= 99


def test_the_largest_is_above_the_base_and_alone():
    assert largest(blocks(made([MB, 9 * MB]))).size_bytes == 9 * MB
    assert largest(blocks(made([MB, MB]))) is None
    assert largest(blocks(made([24]))) is None
    assert clearly_largest(blocks(made([24]))) is None
    assert clearly_largest(blocks(made([100 * MB, 99 * MB]))) is None
    assert clearly_largest(blocks(made([MB, 9 * MB]))).size_bytes == 9 * MB


def test_alt_and_rows_say_what_the_picture_shows(language):
    build = made([MB, ENV, 9 * MB])
    chart = charts.layer_sizes(build)
    assert chart.alt.count(". ") <= 1 and "made" in chart.alt
    assert units.size(build.size_bytes) in chart.alt and units.size(9 * MB) in chart.alt
    assert len(chart.rows) == 4 and len(chart.head) == len(chart.rows[0])
    other = charts.compare(build, made([MB], tag="other"))
    assert "other" in other.alt and len(other.head) == len(other.rows[0])


def test_the_title_of_a_comparison_says_what_is_shared():
    a, b = made([5 * MB, MB], tag="a", shared=2), made([5 * MB, 9 * MB], tag="b", shared=2)
    title = boxes(charts.compare(a, b))[0][0]
    assert title == "85 MB shared; only in a: 1 MB, only in b: 9 MB"
    assert len(patches(charts.compare(a, b), "band")) == 1
    two = chart_words.pair(a, b)
    assert [block.shared for block in two.a.blocks] == [True, True, False]


def test_nothing_shared_has_no_band_and_says_so():
    chart = charts.compare(made([MB], tag="a", shared=0), made([MB], tag="b", shared=0))
    assert not patches(chart, "band")
    assert any("nothing" in text for text, _box in boxes(chart))


def test_equal_names_are_told_apart():
    chart = charts.compare(made([MB]), made([MB]))
    assert {"made (1)", "made (2)"} <= {text for text, _box in boxes(chart)}


def test_the_plain_form_is_equal_on_every_engine_and_builder():
    for recipe in ("web-first", "web-again", "stages-first", "stages-again"):
        files = [file for file in RECORDINGS if file.stem.startswith(recipe + ".")]
        read = [builds.read(recording.load(file)) for file in files]
        assert len(read) == 6
        assert len({charts.layer_sizes(build).plain for build in read}) == 1
        again = [charts.compare(build, build).plain for build in read]
        assert len({re.sub(r" +", " ", text) for text in again}) == 1


def test_the_plain_form_has_no_size_and_no_digest():
    build = made([MB, 77 * MB, ENV, 0])
    told = charts.layer_sizes(build).plain
    grown = [replace(x, digest="sha256:0", size_bytes=3 * x.size_bytes) for x in build.layers]
    assert told == charts.layer_sizes(replace(build, layers=tuple(grown))).plain
    assert not re.search(r"\d [kMG]?B|sha256", told)
    assert told.splitlines()[0] == "Layers of made, from the bottom:"
    assert told.splitlines()[-1].startswith("the largest above the base: COPY")


def test_a_history_has_a_chart_too():
    layers = tuple(replace(x, instruction=None) for x in made([MB, ENV]).layers)
    chart = charts.layer_sizes(History("web", layers))
    assert chart.plain == "Layers of web" and len(chart.rows) == 3


def test_html_is_escaped_and_the_picture_is_a_png():
    build = made([MB], tag='<b>"x')
    evil = replace(build.layers[1], instruction=None, created_by="RUN echo '<img src=x onerror=1>'")
    chart = charts.layer_sizes(replace(build, layers=(build.layers[0], evil)))
    page = chart._repr_mimebundle_()["text/html"]
    assert page.count("<img") == 1 and "<b>" not in page and "&lt;img" in page
    picture = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    image = Image.open(BytesIO(picture)).convert("RGBA")
    assert image.getpixel((0, 0)) == (255, 255, 255, 255)
    assert image.getextrema()[3] == (255, 255)


def test_a_dollar_is_a_dollar():
    layers = made([MB]).layers
    layer = replace(layers[1], instruction=None, created_by="RUN echo $A^{ $B_ \\frac 你好")
    chart = charts.layer_sizes(History("$x$", (layers[0], layer)))
    assert chart.png().startswith(b"\x89PNG")


def test_the_style_of_matplotlib_changes_nothing_that_is_read():
    build = made([MB, ENV, 9 * MB])
    usual = charts.layer_sizes(build).png()
    dark = {
        "text.color": "white",
        "figure.facecolor": "black",
        "savefig.facecolor": "black",
        "font.family": "serif",
        "font.size": 30,
        "axes.facecolor": "black",
        "savefig.dpi": 30,
    }
    with matplotlib.rc_context(dark):
        assert charts.layer_sizes(build).png() == usual


def test_repr_is_one_line_and_nothing_is_shown():
    code = (
        "import sys, labkit\n"
        "assert 'matplotlib' not in sys.modules\n"
        "labkit.charts\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert repr(charts.layer_sizes(made([MB]))) == "<Chart Layers of made, from the bottom:>"


def test_pictures_are_made_for_each_language(tmp_path, monkeypatch):
    file = next(f for f in RECORDINGS if f.stem == "web-first.docker-26.1.buildkit")
    monkeypatch.setenv("LABKIT_LANG", "en")
    charts.main(str(file), str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["layers.en.png", "layers.ru.png"]
