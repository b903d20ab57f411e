"""An Experiment -> a `Grid`: a row for each edit, a cell for each step, foreseen against true.

Pure: no drawing; also what the chart says in words.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from labkit import units, views
from labkit.besides import Beside, read_guess
from labkit.errors import InputError
from labkit.experiments import Experiment, Spread, Trial, outcome
from labkit.progress import State
from labkit.words import _


@dataclass(frozen=True)
class Cell:
    """One step of one build: the name of its true state, and what was said beforehand.

    `labkit` is the state that was foreseen, "UNKNOWN" where none was; `right` says whether it came
    so, None where that cannot be told. `learner` is "" where nothing was said or that cannot be
    told, the true state where the learner said so, else what was said.
    """

    state: str
    labkit: str
    right: bool | None
    learner: str = ""


@dataclass(frozen=True)
class Row:
    """One build: what was changed before it, its steps, how long it took."""

    title: str
    cells: tuple[Cell, ...]
    seconds: Spread | None


@dataclass(frozen=True)
class Grid:
    """The rows, and of each column its instruction."""

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    guessed: bool

    @property
    def cells(self) -> list[Cell]:
        """All cells, row by row."""
        return [cell for row in self.rows for cell in row.cells]

    @property
    def rounds(self) -> int:
        """How often everything was built."""
        return max(row.seconds.count for row in self.rows)


def check(experiment) -> None:
    """Raise InputError for what is no Experiment, and for one without builds."""
    if not isinstance(experiment, Experiment):
        raise InputError(
            _("{kind} is no experiment.").format(kind=type(experiment).__name__),
            _("This chart is drawn from what lab.experiment gives."),
            _("Give it that: lab.experiment(folder, edits)."),
        )
    if not len(experiment):
        raise InputError(
            _("The experiment has no builds to draw."),
            _("An experiment that broke off before its first build is empty."),
            _("Make the experiment again, and read what it says."),
        )


def grid(experiment: Experiment, guess=None) -> Grid:
    """The experiment as rows and columns; `guess` as in `charts.matrix`."""
    guesses = _guesses(experiment, guess)
    rows = tuple(_row(trial, said) for trial, said in zip(experiment, guesses))
    labels = []
    for trial in experiment:
        labels += [s.instruction.text for s in trial.build.steps[len(labels) :]]
    return Grid(rows, tuple(labels), guess is not None)


def _row(trial, said):
    steps = trial.build.steps
    beside = trial.beside(said or (None,) * len(steps))
    told = list(zip(trial.prediction.steps, trial.right()))
    told += [(None, None)] * (len(steps) - len(told))
    cells = tuple(
        Cell(step.state.value, _labkit(one[0]), one[1], _learner(step.state, *other))
        for step, one, other in zip(steps, told, zip(beside.guess, beside.right()))
    )
    return Row(trial.title, cells, trial.seconds())


def _labkit(verdict):
    return verdict.state.value if verdict and verdict.state else "UNKNOWN"


def _learner(was, said, right):
    if right is None:
        return ""
    return was.value if right else said.value


def _guesses(experiment, guess):
    """For each trial what the learner said, None where nothing."""
    if guess is None:
        return [None] * len(experiment)
    if isinstance(guess, Mapping):
        found = dict(guess.items())
        by_trial = [_taken(found, n, trial) for n, trial in enumerate(experiment)]
        extra = list(found)
    else:
        _check_list(guess)
        by_trial = [*guess, *[None] * (len(experiment) - len(guess))]
        extra = by_trial[len(experiment) :]
    if extra:
        raise InputError(
            _("There are predictions that belong to no build: {names}.").format(
                names=", ".join(views.short(str(name), 40) for name in extra)
            ),
            _("The builds are: {names}.").format(names="; ".join(t.title for t in experiment)),
            _("Give a list in the order of the builds, or a dict by title or by number, from 0."),
        )
    pairs = zip(experiment, by_trial)
    return [None if said is None else _said(trial, said) for trial, said in pairs]


def _check_list(guess):
    if isinstance(guess, list | tuple):
        return
    raise InputError(
        _("{kind} is no list of predictions.").format(kind=type(guess).__name__),
        _("A chart of many builds needs a prediction for each build, or for some of them."),
        _("Give a list in the order of the builds, or a dict by title or by number, from 0."),
    )


def _taken(found, number, trial):
    by_title = found.pop(trial.title, None)
    return found.pop(number, by_title)


def _said(trial, said):
    if isinstance(said, Beside):
        said = said.guess
    return read_guess(said, len(trial.build.steps))


def plain(experiment: Experiment) -> str:
    """For each edit the first step that did not come from the cache, as on each builder.

    Only steps that change files count: builders tell of metadata in their own ways.
    """
    rows = [(_edit(trial), _first(trial)) for trial in experiment]
    return "\n".join([title(), views.text_table(rows)])


def _edit(trial):
    return views.short(trial.title, 40)


def _first(trial: Trial) -> str:
    steps = enumerate(trial.build.steps, 1)
    made = [(n, s) for n, s in steps if s.instruction.changes_files]
    made = [(n, s) for n, s in made if s.state in (State.RAN, State.FAILED)]
    failed = [(n, s) for n, s in made if s.state is State.FAILED]
    if not made:
        return _("all from the cache")
    said = _("fails in step {number}: {text}") if failed else _("from step {number}: {text}")
    number, step = (failed or made)[0]
    return said.format(number=number, text=views.short(step.instruction.text, 48))


def title() -> str:
    """What the picture is about."""
    return _("What each edit rebuilds")


def times(one: Grid) -> str:
    """The head of the times."""
    if one.rounds == 1:
        return _("time")
    return _("time: median of {count}, shortest–longest").format(count=one.rounds)


def ends(seconds: Spread) -> str:
    """The shortest and the longest time; "" where one cannot tell them apart."""
    least, most = units.duration(seconds.least), units.duration(seconds.most)
    return "" if least == most else f"{least}–{most}"


def below(one: Grid) -> str:
    """How well it was foreseen: the line under the title."""
    judged = [cell.right for cell in one.cells if cell.right is not None]
    open_ = sum(cell.labkit == "UNKNOWN" for cell in one.cells)
    found = [
        _("labkit foresaw {right} of {count} steps rightly").format(
            right=sum(judged), count=len(judged)
        )
    ]
    found += [_("not predicted: {count}").format(count=open_)] if open_ else []
    return "; ".join([*found, _you(one)] if one.guessed else found)


def _you(one):
    said = [cell for cell in one.cells if cell.learner]
    right = sum(cell.learner == cell.state for cell in said)
    return _("you: {right} of {count}").format(right=right, count=len(said))


def alt(one: Grid) -> str:
    """What the matrix shows, in two sentences."""
    counts = Counter(cell.state for cell in one.cells)
    states = ", ".join(
        f"{views.state_word(name)} {counts[name]}" for name in views.SIGNS if counts[name]
    )
    return (
        _("A row for each of {rows} builds, a column for each of {steps} steps: {states}.").format(
            rows=len(one.rows), steps=len(one.labels), states=states
        )
        + f" {below(one)}."
    )


def rows(experiment: Experiment, one: Grid) -> tuple:
    """The table: number, edit, time, a sign for each step, how well it was foreseen."""
    return tuple(
        (n, row.title, str(row.seconds), *_signs(row, len(one.labels)), outcome(trial))
        for n, (trial, row) in enumerate(zip(experiment, one.rows))
    )


def _signs(row, count):
    signs = [views.sign(cell.state) for cell in row.cells]
    return [*signs, *[""] * (count - len(signs))]
