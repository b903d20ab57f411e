"""Experiments -> a `Line` for each: the seconds that its changes cost in all.

Pure: no drawing; also what the chart says in words.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from labkit import units, views
from labkit.chart_grid import check
from labkit.errors import InputError
from labkit.experiments import Experiment, Spread
from labkit.progress import State
from labkit.words import _, ngettext


@dataclass(frozen=True)
class Line:
    """One recipe: the seconds that its changes cost in all, after each of them; first is 0.

    `first` is its first build, which is not in the sum. `remade` counts the steps that change
    files and did not come from the cache, in all changes; `failed` the builds that failed.
    """

    name: str
    first: Spread
    sums: tuple[Spread, ...]
    remade: int
    failed: int

    @property
    def last(self) -> Spread:
        """What all changes cost."""
        return self.sums[-1]


def lines(experiments) -> tuple[Line, ...]:
    """A line for each experiment, in their order; InputError as in `charts.cost_of_order`."""
    if not isinstance(experiments, Mapping) or not experiments:
        raise InputError(
            _("There are no experiments to draw."),
            _("This chart is drawn from a dict of names and experiments."),
            _('Give it that: {"COPY last": one, "COPY first": other}.'),
        )
    for experiment in experiments.values():
        check(experiment)
    counts = {str(name): len(experiment) - 1 for name, experiment in experiments.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(
            _("The experiments do not have the same number of changes."),
            "\n".join(_("{name}: {count}").format(name=n, count=c) for n, c in counts.items()),
            _("Make each of them with the same edits, and with one edit at least."),
        )
    return tuple(_line(str(name), experiment) for name, experiment in experiments.items())


def _line(name: str, experiment: Experiment) -> Line:
    first, *changes = experiment
    rounds = min(len(trial.builds) for trial in changes)
    sums = [
        [sum(t.builds[n].seconds for t in changes[:count]) for n in range(rounds)]
        for count in range(len(changes) + 1)
    ]
    found = [step for trial in changes for step in trial.build.steps]
    made = [s for s in found if s.state in (State.RAN, State.FAILED)]
    return Line(
        name=name,
        first=first.seconds(),
        sums=tuple(Spread(statistics.median(s), min(s), max(s), rounds) for s in sums),
        remade=sum(step.instruction.changes_files for step in made),
        failed=sum(not trial.build.ok for trial in changes),
    )


def changes(count: int) -> str:
    """A number of changes in words, after "after"."""
    return ngettext("{count} change", "{count} changes", count).format(count=count)


def title(found: tuple[Line, ...], names: dict) -> str:
    """Which recipe cost more, and by how much; `names` are cut to fit."""
    low, high = (pick(found, key=lambda line: line.last.median) for pick in (min, max))
    after = changes(len(found[0].sums) - 1)
    if len(found) == 1:
        text = _("“{name}”: {time} after {changes}")
        return text.format(
            name=names[low.name], time=units.duration(low.last.median), changes=after
        )
    if low.last.most >= high.last.least:
        return _("No clear difference after {changes}").format(changes=after)
    text = _("“{high}” cost {gap} more than “{low}” after {changes}")
    gap = units.duration(high.last.median - low.last.median)
    return text.format(high=names[high.name], low=names[low.name], gap=gap, changes=after)


def below(found: tuple[Line, ...]) -> str:
    """What is in the sum and what is not: the line under the title."""
    firsts = ", ".join(units.duration(line.first.median) for line in found[:4])
    text = _("build time added up over the changes; the first build is left out")
    text += f" ({firsts})" if len(found) <= 4 else ""
    if found[0].last.count > 1:
        text += "; " + _("band: {count} rounds").format(count=found[0].last.count)
    if failed := sum(line.failed for line in found):
        text += "; " + _("builds that failed: {count}").format(count=failed)
    return text


def alt(found: tuple[Line, ...]) -> str:
    """What the lines show, in two sentences."""
    text = _("Lines of the seconds that {changes} cost in all, the first build left out: {ends}.")
    ends = "; ".join(f"{line.name}: {line.last}" for line in found)
    names = {line.name: line.name for line in found}
    after = changes(len(found[0].sums) - 1)
    return text.format(changes=after, ends=ends) + f" {title(found, names)}."


def rows(experiments, found: tuple[Line, ...]) -> tuple:
    """The table: number, change, and for each recipe the seconds in all."""
    first = (0, _("the first build, left out"), *(str(line.first) for line in found))
    return (first, *(_row(experiments, found, n) for n in range(1, len(found[0].sums))))


def _row(experiments, found, number):
    titles = dict.fromkeys(experiment[number].title for experiment in experiments.values())
    return (number, " / ".join(titles), *(str(line.sums[number]) for line in found))


def plain(found: tuple[Line, ...]) -> str:
    """For each recipe how many steps the changes made anew: true of each machine and builder."""
    head = _("Steps made anew in {changes}:").format(changes=changes(len(found[0].sums) - 1))
    return "\n".join([head, views.text_table((line.name, line.remade) for line in found)])
