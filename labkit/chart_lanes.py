"""Two Builds or Trials -> two `Lane`s: their steps laid end to end in time, each with its twin.

Pure: no drawing; also what the chart says in words.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

from labkit import units, views
from labkit.builds import Build
from labkit.cache import Prediction
from labkit.errors import InputError
from labkit.experiments import Spread, Trial
from labkit.words import _, ngettext


@dataclass(frozen=True)
class Bar:
    """One step on its lane; `start` is where the steps before it end, in seconds.

    `seconds` is None for what did not run, and for metadata of which no time is told. `state` is
    the name of its state, `number` counts from 1.
    """

    number: int
    text: str
    changes_files: bool
    state: str
    start: float
    seconds: Spread | None

    @property
    def length(self) -> float:
        """How long it took, 0.0 where no time is told."""
        return self.seconds.median if self.seconds else 0.0

    @property
    def end(self) -> float:
        """Where the next one starts."""
        return self.start + self.length

    @property
    def drawn(self) -> bool:
        """Whether it is a bar: a step that ran for a time that is told, or that failed."""
        return self.state == "FAILED" or (self.state == "RAN" and self.seconds is not None)


@dataclass(frozen=True)
class Lane:
    """One build in time: its name, its steps, how long it took in all."""

    name: str
    bars: tuple[Bar, ...]
    total: Spread

    @property
    def end(self) -> float:
        """Where the last step ends, in seconds; more than the total where stages overlapped."""
        return max((bar.end for bar in self.bars), default=0.0)

    @property
    def failed(self) -> bool:
        """Whether a step failed."""
        return any(bar.state == "FAILED" for bar in self.bars)

    @property
    def reach(self) -> float:
        """The farthest that is drawn, in seconds."""
        return max(self.end, self.total.most)


@dataclass(frozen=True)
class Duel:
    """Two lanes, and which bars are the same step; a bar without a twin stands alone."""

    a: Lane
    b: Lane
    twins: tuple[tuple[Bar, Bar], ...]

    @property
    def saved(self) -> float:
        """How much shorter the second was, in seconds; negative where it was longer."""
        return self.a.total.median - self.b.total.median

    @property
    def alike(self) -> bool:
        """Whether the times of several rounds overlap, so that no difference is clear."""
        a, b = self.a.total, self.b.total
        return min(a.count, b.count) > 1 and a.least <= b.most and b.least <= a.most


def duel(a, b) -> Duel:
    """Two Builds or Trials side by side; InputError for what is neither, or has no steps."""
    first, second = (_lane(_trial(one), n) for n, one in enumerate((a, b), 1))
    if first.name == second.name:
        first, second = (replace(x, name=f"{x.name} ({n})") for n, x in ((1, first), (2, second)))
    return Duel(first, second, tuple(_twins(first.bars, second.bars)))


def _trial(one):
    if isinstance(one, Build):
        one = Trial(None, Prediction(()), (one,))
    if isinstance(one, Trial) and one.builds and one.build.steps:
        return one
    raise InputError(
        _("{kind} is no build whose steps can be drawn.").format(kind=type(one).__name__),
        _("Two builds are drawn, or two trials of an experiment: experiment[0] is the first."),
        _("Give it two of what lab.build gives: charts.times(first, second)."),
    )


def _lane(trial, number):
    bars, start = [], 0.0
    for place, step in enumerate(trial.build.steps, 1):
        i = step.instruction
        spread = trial.seconds(place) if step.seconds is not None else None
        bars.append(Bar(place, i.text, i.changes_files, step.state.value, start, spread))
        start = bars[-1].end
    return Lane(_name(trial, number), tuple(bars), trial.seconds())


def _name(trial, number):
    if trial.edit is None and trial.build.tag:
        return trial.build.tag
    if trial.edit is None and not trial.prediction.steps:
        return _("first build") if number == 1 else _("second build")
    return trial.title


def _twins(first, second):
    """Pairs of the same step: of one text, else of one keyword at one place."""
    waiting = defaultdict(list)
    for bar in second:
        waiting[bar.text].append(bar)
    pairs = [(bar, waiting[bar.text].pop(0)) for bar in first if waiting[bar.text]]
    paired = {bar.number for bar, _twin in pairs}
    places = {bar.number: bar for left in waiting.values() for bar in left}
    for bar in first:
        twin = places.get(bar.number)
        if bar.number not in paired and twin and _keyword(bar) == _keyword(twin):
            pairs.append((bar, twin))
    return sorted(pairs, key=lambda pair: pair[0].number)


def _keyword(bar):
    return bar.text.split(" ", 1)[0]


def title(two: Duel, names: dict) -> str:
    """Which took less, and by how much; `names` are those of "a" and "b", cut to fit.

    A build that failed is not compared: it took no less time, it did less.
    """
    for key, lane in (("b", two.b), ("a", two.a)):
        if lane.failed:
            text = _("“{name}” failed after {time}")
            return text.format(name=names[key], time=units.duration(lane.total.median))
    gap = units.duration(abs(two.saved))
    if gap == units.duration(0.0) or two.alike:
        return _("“{a}” and “{b}” took about the same time").format(**names)
    text = _("“{b}” took {gap} less than “{a}”")
    if two.saved < 0:
        text = _("“{b}” took {gap} more than “{a}”")
    return text.format(gap=gap, **names)


def below(two: Duel) -> str:
    """How to read the picture: the line under the title."""
    text = _("steps laid end to end on one time axis; wedges join the same step in both")
    count = max(two.a.total.count, two.b.total.count)
    if count > 1:
        rounds = ngettext("median of {count} round", "medians of {count} rounds", count)
        text += "; " + rounds.format(count=count)
    return text


def alt(two: Duel) -> str:
    """What the two lines show, in three sentences."""
    lanes = "; ".join(
        _("“{name}”: {total} in all, {states}").format(
            name=lane.name, total=lane.total, states=_counted(lane)
        )
        for lane in (two.a, two.b)
    )
    return " ".join(
        [
            _("Two builds as time lines, one above the other, on one axis."),
            lanes + ".",
            _("The steps are laid end to end; in truth those of several stages may overlap."),
        ]
    )


def _counted(lane):
    states = [bar.state for bar in lane.bars]
    return ", ".join(
        f"{views.state_word(name)} {states.count(name)}" for name in views.SIGNS if name in states
    )


def head(two: Duel) -> tuple:
    """The heads of the table."""
    return ("", _("instruction"), two.a.name, two.b.name)


def rows(two: Duel) -> tuple:
    """The table: number, instruction, state and time in each; the total last."""
    found = [
        ((p or q).number, views.code((p or q).text), _told(p), _told(q)) for p, q in _pairs(two)
    ]
    return (*found, ("", _("in all"), str(two.a.total), str(two.b.total)))


def _told(bar):
    if bar is None:
        return ""
    return f"{views.SIGNS[bar.state]} {bar.seconds or views.state_word(bar.state)}"


def plain(two: Duel) -> str:
    """The states of the steps that change files, in both builds: true of each builder."""
    found = [
        ((p or q).number, _state(p), _state(q), views.short((p or q).text, 48))
        for p, q in _pairs(two)
        if (p or q).changes_files
    ]
    title = _("{a} and {b}, step by step").format(a=two.a.name, b=two.b.name)
    return f"{title}:\n{views.text_table(found)}" if found else title


def _state(bar):
    return views.state_word(bar.state) if bar else "–"


def _pairs(two):
    """Each step once: those of the first with their twins, then what the second alone has."""
    twin = {p.number: q for p, q in two.twins}
    taken = {q.number for q in twin.values()}
    yield from ((bar, twin.get(bar.number)) for bar in two.a.bars)
    yield from ((None, bar) for bar in two.b.bars if bar.number not in taken)
