"""The charts of experiments: true to the builds, legible in both languages, plain on each builder."""

import random
import re
from dataclasses import replace

import matplotlib
import pytest

from labkit import Lab, builds, charts, dockerfile, edits, views
from labkit import chart_parts as parts
from labkit.cache import Prediction, Verdict
from labkit.edits import Edit
from labkit.errors import InputError
from labkit.experiments import Experiment, Trial
from labkit.progress import State, Step
from labkit.reasons import Reason, Rule
from tests import figures
from tests.conftest import with_docker_26, write_recipe

STATES = {"c": State.CACHED, "r": State.RAN, "f": State.FAILED, ".": State.NOT_REACHED, "?": None}
APP = """FROM ubuntu:24.04
RUN apt-get update && apt-get install -y python3 python3-pip
RUN pip3 install --break-system-packages flask
COPY app.py /opt/app.py
ENTRYPOINT ["python3", "/opt/app.py"]
"""
SECONDS = (0.4, 14.2, 6.1, 0.1, 0.0)
LONG = "FROM ubuntu:24.04\n" + "\n".join(
    [
        "RUN apt-get install -y " + "a-package-with-a-long-name " * 4,
        "COPY $A^{ $B_ /opt/x",
        "ENV N=1",
    ]
    * 5
)
LONG_TITLE = "файл requirements/production/requirements.txt изменён, и ещё один файл, номер {n}"
PARTS = 3  # of an InputError: what, tried, what next


def build(text, states, seconds=SECONDS, tag=""):
    """A Build of a Dockerfile whose steps ended as the letters in `states` say."""
    parsed = dockerfile.parse(text)
    triples = zip(parsed.instructions, states, [*seconds, *[1.5] * 99])
    steps = tuple(Step(i, STATES[s], t if s in "rf" else None) for i, s, t in triples)
    total = sum(step.seconds or 0 for step in steps) + 0.3
    image = None if "f" in states else "sha256:1"
    return builds.Build(tag, "buildkit", parsed, steps, (), image, total)


def trial(title, states, said=None, *, text=APP, seconds=SECONDS, rounds=1):
    """A Trial: `said` is what labkit foresaw, by default the truth."""
    chance = random.Random(f"{title}{states}")
    times = [[s * (1 + 0.2 * n * chance.random()) for s in seconds] for n in range(rounds)]
    made = tuple(build(text, states, one) for one in times)
    pairs = zip(made[0].steps, said or states)
    verdicts = tuple(Verdict(s.instruction, STATES[c], Reason(Rule.SAME)) for s, c in pairs)
    edit = Edit(title, lambda bench: None) if title else None
    return Trial(edit, Prediction(verdicts), made)


def small(rounds=1):
    """Five builds: the first, one all cached, one foreseen wrongly, one that fails, one open."""
    return Experiment((
        trial(None, "crrrr", rounds=rounds),
        trial("app.py touched", "ccccc", rounds=rounds),
        trial("app.py changed", "cccrr", "ccccr", rounds=rounds),
        trial("line 3 broken", "ccf..", "ccrrr", rounds=rounds),
        trial("line 2", "crrrr", "cr???", rounds=rounds),
    ))  # fmt: skip


def large(count, steps):
    """An Experiment of so many builds and steps, with long titles and instructions."""
    text = "\n".join(LONG.split("\n")[:steps])
    rows = ["c" * (n % steps) + "r" * (steps - n % steps) for n in range(count)]
    many = {"text": text, "seconds": [7.7] * steps, "rounds": 3}
    said = [row.replace("rr", "c?", n % 3) for n, row in enumerate(rows)]
    trials = (
        trial(LONG_TITLE.format(n=n) if n else None, row, said[n], **many)
        for n, row in enumerate(rows)
    )
    return Experiment(tuple(trials))


def costs(states, *, count=4, rounds=1, scale=1.0):
    """An Experiment of a first build and so many changes that all rebuild the same steps."""
    seconds = [scale * s for s in SECONDS]
    more = {"seconds": seconds, "rounds": rounds}
    changed = (trial(f"change {n}", states, **more) for n in range(count))
    return Experiment((trial(None, "crrrr", **more), *changed))


def texts(chart):
    return [text.get_text() for text in chart.axes[0].texts]


def by_gid(chart, gid):
    """The patches and lines of one kind, the legend's too."""
    return [p for p in [*chart.axes[0].patches, *chart.axes[0].lines] if p.get_gid() == gid]


def cells(chart):
    """The tiles of a matrix, without the legend's."""
    return [tile for tile in by_gid(chart, "tile") if tile.get_width() == 34]


def assert_readable(chart):
    figures.assert_readable(chart)
    assert chart.png().startswith(b"\x89PNG")


def refused(draw, *given):
    """The parts of the InputError."""
    with pytest.raises(InputError) as caught:
        draw(*given)
    return caught.value.parts()


@pytest.fixture(params=["en", "ru"])
def language(request, monkeypatch):
    monkeypatch.setenv("LABKIT_LANG", request.param)
    return request.param


# the matrix


@pytest.mark.parametrize(("count", "steps"), [(2, 3), (2, 15), (25, 3), (25, 15)])
def test_a_matrix_is_readable(count, steps, language):
    assert_readable(charts.matrix(large(count, steps)))


def test_a_matrix_with_a_guess_is_readable(language):
    guess = [None, ["ran"] * 5, ["cached"] * 5, ["?"] * 5, ["ran"] * 5]
    assert_readable(charts.matrix(small(rounds=3), guess))


def test_a_cell_has_the_colour_and_the_sign_of_the_true_state():
    experiment = small()
    chart = charts.matrix(experiment)
    tiles = cells(chart)
    states = [state for one in experiment for state in one.states()]
    assert len(tiles) == len(states) == 25
    colours = [views.COLOURS[state].lower() for state in states]
    assert [hexa(tile) for tile in tiles] == colours
    for state in set(states):
        assert texts(chart).count(views.SIGNS[state]) >= states.count(state)


def hexa(patch):
    return "#" + "".join(f"{round(255 * part):02x}" for part in patch.get_facecolor()[:3])


def test_only_what_came_otherwise_is_marked():
    chart = charts.matrix(small())
    assert len(by_gid(chart, "wrong")) == 1 + 1  # the legend has one
    assert texts(chart).count("?") == 3 + 1
    quiet = charts.matrix(costs("cccrr"))
    assert not by_gid(quiet, "wrong") and "?" not in texts(quiet)


def test_a_matrix_says_how_well_it_was_foreseen():
    text = "labkit foresaw 19 of 20 steps rightly; not predicted: 3"
    assert text in texts(charts.matrix(small()))
    assert text in charts.matrix(small()).alt


def test_a_learners_guess_is_a_second_mark():
    guess = {"app.py touched": ["cached"] * 5, 2: ["cached", "cached", "ran", "ran", "?"]}
    chart = charts.matrix(small(), guess)
    assert len(by_gid(chart, "hit")) == 5 + 3 + 1  # with the legend's
    assert len(by_gid(chart, "missed")) == 1 + 1
    assert "; you: 8 of 9" in chart.alt
    beside = small()[1].beside(["cached"] * 5)
    assert len(by_gid(charts.matrix(small(), [None, beside]), "hit")) == 5 + 1


def test_builds_of_different_length_stand_in_one_matrix():
    short = trial("two lines", "cr", text="FROM ubuntu:24.04\nRUN echo\n")
    chart = charts.matrix(Experiment((short, *small())))
    tiles = cells(chart)
    assert len(tiles) == 2 + 25
    assert {len(row) for row in chart.rows} == {len(chart.head)}
    assert "COPY app.py /opt/app.py" in texts(chart)
    assert_readable(chart)


def test_the_plain_matrix_names_the_first_step_that_was_made():
    lines = charts.matrix(small()).plain.splitlines()
    assert lines[0] == "What each edit rebuilds"
    assert [re.split("  +", line)[1] for line in lines[1:]] == [
        "from step 2: RUN apt-get update && apt-get install -y python…",
        "all from the cache",
        "from step 4: COPY app.py /opt/app.py",
        "fails in step 3: RUN pip3 install --break-system-packages flask",
        "from step 2: RUN apt-get update && apt-get install -y python…",
    ]


def test_a_matrix_refuses_what_it_cannot_draw(language):
    for given in ([], None, Experiment(), small()[0]):
        assert len(refused(charts.matrix, given)) == PARTS
    one = ["cached"] * 5
    for guess in ({"no such edit": one}, {9: one}, [one] * 6, ["ran"], [["ran"]], "ran", 3):
        assert len(refused(charts.matrix, small(), guess)) == PARTS


# the time lines


PAIRS = {
    "again": (build(APP, "crrrr", tag="web:1"), build(APP, "cccrr", tag="web:2")),
    "all cached": (build(APP, "ccccc"), build(APP, "ccccc")),
    "slower": (build(APP, "ccccc"), build(APP, "crrrr")),
    "rounds": (small(3)[0], small(3)[2]),
    "failed": (small()[0], small()[3]),
    "short": (build(APP, "crrrr", (0.01,) * 5), build(APP, "cccrr", (0.01,) * 5)),
    "long": (
        build(LONG, "c" + "r" * 15, range(2, 99), LONG_TITLE),
        build(LONG, "ccc" + "rc" * 6 + "r", range(2, 99), LONG_TITLE + "!"),
    ),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_time_lines_are_readable(pair, language):
    assert_readable(charts.times(*pair))


def test_bars_are_to_one_scale_and_end_to_end():
    chart = charts.times(*PAIRS["again"])
    bars = [bar.get_window_extent() for bar in by_gid(chart, "bar")]
    first, second = bars[:4], bars[4:]
    per_second = first[0].width / 14.2
    assert [b.width / per_second for b in bars] == pytest.approx(
        [14.2, 6.1, 0.1, 0, 0.1, 0], abs=0.05
    )
    assert first[0].x0 == second[0].x0
    assert first[1].x0 == pytest.approx(first[0].x1)
    assert first[0].y0 > second[0].y1


def test_a_cached_step_is_a_tick_and_one_not_reached_is_absent():
    chart = charts.times(*PAIRS["failed"])
    assert len(by_gid(chart, "tick")) == 1 + 2
    assert len(by_gid(chart, "bar")) == 4 + 1
    assert any(text == "✗ 6.1 s" for text in texts(chart))
    assert "✓ 2 steps from the cache" in texts(chart)


def test_the_title_of_time_lines_says_what_was_saved():
    assert texts(charts.times(*PAIRS["again"]))[0] == "“web:2” took 20.3 s less than “web:1”"
    assert texts(charts.times(*PAIRS["again"][::-1]))[0].startswith("“web:1” took 20.3 s more")
    assert texts(charts.times(*PAIRS["failed"]))[0] == "“line 3 broken” failed after 6.4 s"
    for pair in (PAIRS["all cached"], (small(3)[0], small(3)[0])):
        assert texts(charts.times(*pair))[0].endswith("took about the same time")


def test_the_same_step_is_joined_where_it_moved():
    lines = APP.splitlines()
    swapped = "\n".join([lines[0], lines[3], lines[1], lines[2], lines[4]])
    a, b = build(APP, "crrrr"), build(swapped, "crrrr", (0.4, 0.1, 14.2, 6.1, 0.0))
    wedges = by_gid(charts.times(a, b), "wedge")
    spans = {(round(x[1] - x[0]), round(x[2] - x[3])) for x in (w.get_xy()[:, 0] for w in wedges)}
    assert len(wedges) == 3 and all(abs(top - foot) <= 1 for top, foot in spans)


def test_several_rounds_have_whiskers():
    assert by_gid(charts.times(*PAIRS["rounds"]), "whisker")
    assert not by_gid(charts.times(*PAIRS["again"]), "whisker")


def test_the_table_of_time_lines_has_both_builds():
    chart = charts.times(*PAIRS["failed"])
    assert {len(row) for row in chart.rows} == {len(chart.head)} == {4}
    assert chart.rows[2][2:] == ("▶ 6.1 s", "✗ 6.1 s")
    assert chart.rows[3][2:] == ("▶ 0.1 s", "· not reached")
    assert "overlap" in chart.alt


def test_a_failure_without_a_time_is_drawn():
    failed = build(APP, "ccf..")
    steps = [replace(s, seconds=None) if s.state is State.FAILED else s for s in failed.steps]
    chart = charts.times(build(APP, "crrrr"), replace(failed, steps=tuple(steps)))
    assert "✗" in texts(chart) and len(by_gid(chart, "bar")) == 4 + 1


def test_time_lines_refuse_what_is_no_build(language):
    good = build(APP, "crrrr")
    for other in (None, "web", small(), replace(good, steps=())):
        assert len(refused(charts.times, good, other)) == PARTS
        assert len(refused(charts.times, other, good)) == PARTS


# what the order costs


COSTS = {
    "two": {"COPY last": costs("cccrr"), "COPY first": costs("crrrr")},
    "rounds": {"COPY в конце": costs("cccrr", rounds=3), "в начале": costs("crrrr", rounds=3)},
    "one": {LONG_TITLE: costs("cccrr", count=1)},
    "equal": {"a": costs("crrrr"), "b": costs("crrrr"), LONG_TITLE: costs("crrrr")},
    "many": {f"$recipe {n}": costs("crrrr", count=30, scale=1 + n / 9) for n in range(12)},
}


@pytest.mark.parametrize("experiments", COSTS.values(), ids=COSTS)
def test_a_chart_of_costs_is_readable(experiments, language):
    assert_readable(charts.cost_of_order(experiments))


def test_the_lines_add_up_the_changes_without_the_first_build():
    chart = charts.cost_of_order(COSTS["two"])
    last, first = (line.get_ydata() for line in by_gid(chart, "line"))
    assert len(last) == 5 and last[0] == first[0]
    assert (first[4] - first[0]) / (last[4] - last[0]) == pytest.approx(20.7 / 0.4)
    assert chart.rows[0] == (0, "the first build, left out", "20.7 s", "20.7 s")
    assert chart.rows[4] == (4, "change 3", "1.6 s", "1 min 23 s")
    assert "the first build is left out (20.7 s, 20.7 s)" in texts(chart)[1]


def test_the_gap_at_the_end_is_named():
    chart = charts.cost_of_order(COSTS["two"])
    assert texts(chart)[0] == "“COPY first” cost 1 min 21 s more than “COPY last” after 4 changes"
    assert "1 min 21 s between them" in texts(chart)


def test_lines_differ_in_their_markers_and_are_named_at_their_ends():
    chart = charts.cost_of_order(COSTS["two"])
    assert len({line.get_marker() for line in by_gid(chart, "line")}) == 2
    assert {"COPY last", "COPY first"} <= set(texts(chart))


def test_several_rounds_have_a_band():
    def bands(chart):
        return [c for c in chart.axes[0].collections if c.get_gid() == "band"]

    assert len(bands(charts.cost_of_order(COSTS["rounds"]))) == 2
    assert not bands(charts.cost_of_order(COSTS["two"]))


def test_overlapping_spreads_are_no_difference():
    for one in (costs("cccrr", rounds=5), costs("cccrr")):
        chart = charts.cost_of_order({"a": one, "b": one})
        assert texts(chart)[0] == "No clear difference after 4 changes"


def test_a_build_that_failed_is_told():
    chart = charts.cost_of_order({"a": costs("ccf.."), "b": costs("cccrr")})
    assert "builds that failed: 4" in texts(chart)[1]


def test_the_plain_costs_count_the_steps_made_anew():
    plain = charts.cost_of_order(COSTS["two"]).plain
    assert plain.splitlines() == [
        "Steps made anew in 4 changes:",
        "COPY last   4",
        "COPY first  12",
    ]


def test_costs_refuse_what_they_cannot_draw(language):
    good = costs("cccrr")
    for given in (
        {},
        None,
        [good],
        {"a": good, "b": None},
        {"a": Experiment()},
        {"a": good, "b": costs("cccrr", count=3)},
        {"a": Experiment(good.trials[:1])},
    ):
        assert len(refused(charts.cost_of_order, given)) == PARTS


# all three


def test_plain_has_no_time_and_no_size():
    slow = Experiment(
        tuple(trial(t.edit and t.title, _letters(t), seconds=[99] * 5) for t in small())
    )
    for draw in (charts.matrix, lambda x: charts.times(x[0], x[2]), _cost):
        assert draw(slow).plain == draw(small()).plain
        assert not re.search(r"\d (s|min|[kM]?B)\b", draw(slow).plain)


def _cost(experiment):
    return charts.cost_of_order({"a": experiment})


def _letters(one):
    return "".join(letter for s in one.build.steps for letter, x in STATES.items() if x is s.state)


def test_the_style_of_matplotlib_changes_nothing_that_is_read():
    def draw():
        pictures = charts.matrix(small(3)), charts.times(*PAIRS["rounds"])
        return [chart.png() for chart in (*pictures, charts.cost_of_order(COSTS["rounds"]))]

    usual = draw()
    dark = {
        "text.color": "white",
        "axes.facecolor": "black",
        "font.family": "serif",
        "font.size": 30,
        "lines.linewidth": 9,
        "patch.linewidth": 9,
        "axes.prop_cycle": matplotlib.cycler(color=["red"]),
    }
    with matplotlib.rc_context(dark):
        assert draw() == usual


def test_a_title_is_cut_in_its_middle():
    cut = parts.squeezed(LONG_TITLE, 200)
    assert cut.startswith("файл") and cut.endswith("{n}") and parts.width(cut) <= 200


@pytest.fixture(scope="module")
def measured(machine, tmp_path_factory):
    """One small experiment on each builder of a real engine, made once: {builder: Experiment}."""
    folder = tmp_path_factory.mktemp("made") / "recipe"
    lines = "ENV A=1\nRUN echo hi > /f\nCOPY app.py /app/\nRUN cat /f\nCMD ls"
    write_recipe(folder, machine.base, lines, {"app.py": "print()"})
    lab = Lab(engine=machine.engine)
    changes = [edits.touch("app.py"), edits.change_file("app.py")]
    changes += [edits.break_step("cat /f"), edits.repair()]
    yield {
        name: lab.experiment(folder, changes, repeat=2, builder=name)
        for name in machine.engine.builders
    }
    lab.clean()


@with_docker_26
def test_real_builds_are_drawn_alike_on_each_builder(measured, language):
    assert len(measured) == 2
    for draw in (charts.matrix, lambda x: charts.times(x[0], x[2]), _cost):
        drawn = [draw(experiment) for experiment in measured.values()]
        assert len({chart.plain for chart in drawn}) == 1
        for chart in drawn:
            assert_readable(chart)


@with_docker_26
def test_a_real_matrix_shows_what_was_built(measured):
    for experiment in measured.values():
        chart = charts.matrix(experiment)
        tiles = cells(chart)
        truth = [views.COLOURS[state].lower() for one in experiment for state in one.states()]
        assert [hexa(tile) for tile in tiles] == truth
        assert not by_gid(chart, "wrong")
        assert [re.split("  +", line)[1] for line in chart.plain.splitlines()[1:]] == [
            "from step 3: RUN echo hi > /f",
            "all from the cache",
            "from step 4: COPY app.py /app/",
            "fails in step 5: RUN cat /f && false",
            "all from the cache",
        ]
