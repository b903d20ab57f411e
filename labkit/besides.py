"""The learner's own prediction of a build, beside labkit's and the truth."""

from collections.abc import Iterable
from dataclasses import dataclass

from labkit import views
from labkit.cache import Verdict, badge, foreseen
from labkit.errors import InputError
from labkit.progress import State, Step
from labkit.words import _


def judge(said: State | None, was: State) -> bool | None:
    """Whether what was said of a step is what happened; None where that cannot be told."""
    if said is None or (was is State.NOT_REACHED and said is not State.NOT_REACHED):
        return None
    return said is was or (said is State.RAN and was is State.FAILED)


def read_guess(guess, count: int) -> tuple[State | None, ...]:
    """A learner's words as states; None for a step that was left out ("" or "?")."""
    words = getattr(guess, "states", guess)
    words = [words] if isinstance(words, str) or not isinstance(words, Iterable) else list(words)
    if len(words) != count:
        raise InputError(
            _("The prediction has {given} steps, the Dockerfile {count}.").format(
                given=len(words), count=count
            ),
            _("It says: {words}").format(words=", ".join(map(str, words))),
            _("Give a word for every step, FROM too."),
        )
    return tuple(_state(word) for word in words)


def _state(word):
    known = {State.CACHED: ("cached", "кэш", "из кэша"), State.RAN: ("ran", "run", "выполнен")}
    known |= {State.NOT_REACHED: ("not reached", "не дойдёт"), None: ("", "?", "none")}
    if isinstance(word, State):
        return word
    for state, names in known.items():
        more = views.state_word(state.value) if state else ""
        if str(word).strip().lower() in (*names, more):
            return state
    raise InputError(
        _("“{word}” is no prediction of a step.").format(word=word),
        _("A step is “cached” or “ran”; “?” leaves it open."),
        _("Write one of these for every step."),
    )


@dataclass(frozen=True, repr=False)
class Beside:
    """The steps of a build, what the learner foresaw of them, and what labkit did."""

    title: str
    steps: tuple[Step, ...]
    guess: tuple[State | None, ...]
    verdicts: tuple[Verdict, ...]

    def right(self) -> tuple[bool | None, ...]:
        """Of each step whether the learner was right; None where nothing was said of it."""
        return tuple(judge(g, s.state) for g, s in zip(self.guess, self.steps))

    def __repr__(self):
        return f"<Beside {self.title}>"

    def __str__(self):
        head = ("", _("instruction"), _("you"), "labkit", _("truth"))
        return "\n".join(
            [views.text_table([head, *self._rows(foreseen, _plain, _noted)]), self.summary()]
        )

    def summary(self) -> str:
        """How often the learner was right, in a sentence."""
        told = [r for r in self.right() if r is not None]
        if not told:
            return _("You have not predicted anything yet.")
        return _("You were right in {right} of {count} steps.").format(
            right=sum(told), count=len(told)
        )

    def _rows(self, show, code, mark):
        steps = zip(self.steps, self.guess, self.verdicts, self.right())
        for number, (step, guess, verdict, right) in enumerate(steps, 1):
            own = show(guess) if guess else "—"
            yield number, code(step), mark(own, right), show(verdict.state), show(step.state)

    def _repr_mimebundle_(self, include=None, exclude=None):
        head = ("", _("instruction"), _("you"), "labkit", _("truth"))
        rows = self._rows(badge, lambda step: views.code(step.instruction.text), _marked)
        table = views.table(head, list(rows), right=(0,))
        page = views.box(table, views.paragraph(self.summary()))
        return {"text/plain": str(self), "text/html": page}


_MARKS = {True: "✓", False: "✗", None: ""}


def _plain(step):
    return views.short(step.instruction.text, 44)


def _noted(own, right):
    return f"{own} {_MARKS[right]}".rstrip()


def _marked(own, right):
    word = {True: _("right"), False: _("wrong"), None: ""}[right]
    told = f"{views.raw(own)} {_MARKS[right]} {views.escape(word)}"
    return views.Raw(f'<span style="white-space: nowrap">{told}</span>')
