"""`Experiment`: a recipe built for real after each of several edits; foreseen against true.

A record; `trials.Rounds` makes it.
"""

import statistics
from dataclasses import dataclass, field

from labkit import units, views
from labkit.besides import Beside, judge, read_guess
from labkit.builds import Build
from labkit.cache import Prediction
from labkit.edits import Edit
from labkit.outcomes import breaks_off
from labkit.progress import State
from labkit.words import _


@dataclass(frozen=True)
class Spread:
    """Seconds measured several times: the median, the shortest, the longest, how often."""

    median: float
    least: float
    most: float
    count: int

    def __str__(self):
        median, least, most = map(units.duration, (self.median, self.least, self.most))
        return median if least == most else f"{median} ({least}–{most})"


@dataclass(frozen=True, repr=False)
class Trial:
    """One edit: what was foreseen, and the build, once for every round.

    `edit` is None for the first build, of the recipe as it is.
    """

    edit: Edit | None
    prediction: Prediction
    builds: tuple[Build, ...]

    @property
    def title(self) -> str:
        return self.edit.title if self.edit else _("as it is")

    @property
    def build(self) -> Build:
        """The build of the first round."""
        return self.builds[0]

    def states(self) -> tuple[str, ...]:
        """The true states of the steps as words."""
        return self.build.states()

    def right(self) -> tuple[bool | None, ...]:
        """Of each step whether it came as foreseen; None where nothing was foreseen of it.

        A step that failed was foreseen to run: it did. What stands below it was not reached.
        """
        return right(self.prediction, self.build)

    def seconds(self, step: int | None = None) -> Spread | None:
        """How long the build took, or one of its steps (from 1); None where it did not run."""
        if step is None:
            times = [build.seconds for build in self.builds]
        else:
            times = [build.steps[step - 1].seconds for build in self.builds]
        times = [t for t in times if t is not None]
        if not times:
            return None
        return Spread(statistics.median(times), min(times), max(times), len(times))

    def made_bytes(self, step: int | None = None) -> int:
        """The bytes of the layers that were made anew, of all steps or of one (from 1)."""
        steps = self.build.steps if step is None else self.build.steps[step - 1 : step]
        ran = {s.instruction for s in steps if s.state is State.RAN}
        return sum(x.size_bytes for x in self.build.layers if x.instruction in ran)

    def __repr__(self):
        return f"<Trial {self.title}: {len(self.build.steps)} steps>"

    def beside(self, guess) -> Beside:
        """The learner's own prediction beside labkit's and the truth.

        `guess` holds a word for each step, "cached" or "ran" in any language of labkit. Raises
        InputError where it has another length, or another word.
        """
        words = read_guess(guess, len(self.build.steps))
        return Beside(self.title, self.build.steps, words, self.prediction.steps)


def right(prediction: Prediction, build: Build) -> tuple[bool | None, ...]:
    """Of each step whether it came as foreseen; None where that cannot be told.

    A COPY without its file breaks BuildKit off; what it then calls cached is a guess. Where
    a build fails elsewhere than foreseen, it did not come to the failure that was foreseen.
    """
    guesses = build.builder == "buildkit" and breaks_off(build.outcomes())
    elsewhere = build.failed and _fails(prediction) not in (None, build.failed.instruction)
    found = []
    for verdict, step in zip(prediction.steps, build.steps):
        guess = guesses and (verdict.state, step.state) == (State.RAN, State.CACHED)
        beyond = elsewhere and verdict.state in (State.FAILED, State.NOT_REACHED)
        found.append(None if guess or beyond else judge(verdict.state, step.state))
    return tuple(found)


def _fails(prediction):
    return next((v.instruction for v in prediction.steps if v.state is State.FAILED), None)


@dataclass(frozen=True, repr=False)
class Experiment:
    """A recipe and its edits, each built for real; the first trial is the recipe as it is."""

    trials: tuple[Trial, ...] = field(default_factory=tuple)

    def __len__(self):
        return len(self.trials)

    def __getitem__(self, number) -> Trial:
        return self.trials[number]

    def __iter__(self):
        return iter(self.trials)

    @property
    def wrong(self) -> tuple[str, ...]:
        """What labkit foresaw wrongly, a line for each step; empty as it should be."""
        return tuple(
            f"{trial.title}: {verdict.instruction.text}"
            for trial in self.trials
            for verdict, right in zip(trial.prediction.steps, trial.right())
            if right is False
        )

    def __repr__(self):
        return f"<Experiment: {len(self.trials)} builds, {len(self.wrong)} wrong>"

    def __str__(self):
        rows = [("", *self._numbers(), "")]
        for trial in self.trials:
            signs = [views.SIGNS[s] for s in trial.states()]
            rows.append((views.short(trial.title, 40), *signs, outcome(trial)))
        return "\n".join([views.text_table(rows, gap=" "), *self._legend()])

    def _numbers(self):
        return range(1, max((len(t.build.steps) for t in self.trials), default=0) + 1)

    def _legend(self):
        names = ("CACHED", "RAN", "FAILED", "NOT_REACHED")
        there = {state for trial in self.trials for state in trial.states()}
        yield "  ".join(f"{views.SIGNS[n]} {views.state_word(n)}" for n in names if n in there)
        yield from self.wrong

    def _repr_mimebundle_(self, include=None, exclude=None):
        head = (_("edit"), *self._numbers(), _("time"), _("made anew"), "labkit")
        rows = [self._row(trial) for trial in self.trials]
        legend = views.paragraph("  ".join(self._legend()))
        page = views.box(views.table(head, rows), legend)
        return {"text/plain": str(self), "text/html": page}

    def _row(self, trial):
        signs = [views.sign(state) for state in trial.states()]
        signs += [""] * (len(self._numbers()) - len(signs))
        size = units.size(trial.made_bytes())
        return (trial.title, *signs, str(trial.seconds()), size, outcome(trial))


def outcome(trial: Trial) -> str:
    """Whether labkit foresaw a trial rightly, in a word or two."""
    right = trial.right()
    if False in right:
        return _("foreseen wrongly")
    if any(v.state is None for v in trial.prediction.steps):
        return _("right, some not predicted")
    return _("foreseen rightly")
