"""Why each step of a build was cached or ran: `build.why()`."""

from dataclasses import dataclass
from itertools import count

from labkit import views
from labkit.errors import InputError
from labkit.progress import Step
from labkit.reasons import Reason
from labkit.words import _


@dataclass(frozen=True, repr=False)
class Reasons:
    """The steps of a build, each with the reason for its state."""

    steps: tuple[Step, ...]
    reasons: tuple[Reason, ...]

    def _rows(self):
        return zip(count(1), self.steps, self.reasons)

    def __repr__(self):
        return f"<Reasons of {len(self.steps)} steps>"

    def __str__(self):
        return views.text_table(
            (n, views.state_word(s.state.value), views.short(s.instruction.text, 44), r.sentence)
            for n, s, r in self._rows()
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        head = ("", _("instruction"), _("state"), _("why"))
        rows = [
            (n, views.code(s.instruction.text), views.state(s.state.value), r.sentence)
            for n, s, r in self._rows()
        ]
        page = views.box(views.table(head, rows, right=(0,)))
        return {"text/plain": self.plain(), "text/html": page}

    def plain(self) -> str:
        """The steps and their states: what is true of each builder, without reasons."""
        return views.text_table(
            (n, views.state_word(s.state.value), views.short(s.instruction.text))
            for n, s, _reason in self._rows()
        )


def place(steps, step) -> int:
    """The place, from 0, of a step: itself, its instruction, or its number from 1."""
    if isinstance(step, int) and 0 < step <= len(steps):
        return step - 1
    for number, known in enumerate(steps):
        if step in (known, known.instruction):
            return number
    table = views.text_table((n, s.instruction.text) for n, s in enumerate(steps, 1))
    raise InputError(
        _("The build has no step {step}.").format(step=step),
        _("Its steps are:") + "\n" + table,
        _("Give the number of a step, from 1, or one of build.steps."),
    )


def nothing_known() -> InputError:
    """What is raised where the build before is not known."""
    return InputError(
        _("It is not known what was built before."),
        _("This build was read from a recording, or made outside a lab."),
        _("Build it twice with one lab: lab.build(...), then ask the second build why(step)."),
    )
