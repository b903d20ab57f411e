"""`Guess`: what the learner foresees of each step, asked in a form. `Lab.ask` makes it.

In a notebook the form is made of widgets; elsewhere, and in the checked output of a lesson, it is
a table of text.
"""

from labkit import live, views
from labkit.besides import read_guess
from labkit.cache import badge, foreseen
from labkit.dockerfile import Dockerfile
from labkit.errors import InputError
from labkit.progress import State
from labkit.words import _

CHOICES = (State.CACHED, State.RAN)


class Guess:
    """The learner's answer for each step: from the cache, or runs again.

    FROM is given and not asked: its base is in the engine. `trial.beside(guess)` lays the answers
    beside the truth.

    >>> from labkit.dockerfile import parse
    >>> Guess(parse("FROM a\\nRUN b\\nRUN c")).set(["cached", "cached", "?"]).states
    ('?', 'CACHED', '?')
    """

    def __init__(self, dockerfile: Dockerfile):
        self.steps = tuple(i for i in dockerfile.instructions if i.stage is not None)
        self.asked = tuple(n for n, i in enumerate(self.steps) if i.keyword != "FROM")
        self._answers = [None] * len(self.steps)
        self._form = None

    @property
    def states(self) -> tuple[str, ...]:
        """A word for every step: "CACHED", "RAN", or "?" where nothing is answered or asked."""
        return tuple(state.value if state else "?" for state in self._answers)

    def set(self, words) -> "Guess":
        """Answer by code: "cached", "ran" or "?" for every step, FROM too; the guess itself.

        What is said of FROM is not kept. Raises InputError for another number of words, and for
        another word.
        """
        states = read_guess(words, len(self.steps))
        _check(states)
        for place in self.asked:
            self._answer(place, states[place])
        return self

    def summary(self) -> str:
        """How many steps are still open, in a sentence."""
        count = sum(self._answers[place] is None for place in self.asked)
        if not count:
            return _("You have predicted every step.")
        return _("Still open: {count} of {all}.").format(count=count, all=len(self.asked))

    def _answer(self, place, state):
        self._answers[place] = state
        if self._form:
            self._form.show(place, state)

    def __repr__(self):
        return f"<Guess: {len(self.steps)} steps>"

    def __str__(self):
        return "\n".join([views.text_table(self._rows()), self.summary()])

    def _rows(self):
        for number, step in enumerate(self.steps, 1):
            state = self._answers[number - 1]
            word = foreseen(state) if state else "?"
            text = views.short(step.text, 48)
            yield number, text, word if number - 1 in self.asked else _("given")

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": str(self), "text/html": self._page(), **self._widgets()}

    def _page(self):
        """What is shown where no widgets can be, such as in a notebook on the web."""
        head = ("", _("instruction"), _("you"))
        rows = [
            (n + 1, views.code(step.text), badge(self._answers[n]) if n in self.asked else given())
            for n, step in enumerate(self.steps)
        ]
        return views.box(views.table(head, rows, right=(0,)), views.paragraph(self.summary()))

    def _widgets(self):
        if not live.in_notebook():
            return {}
        self._form = self._form or _Form(self)
        return {k: v for k, v in self._form.box._repr_mimebundle_().items() if "widget" in k}


def _check(states):
    """A step that is not reached is a state, but no choice of the form."""
    for state in states:
        if state not in (None, *CHOICES):
            raise InputError(
                _("“{word}” is no prediction of a step.").format(word=foreseen(state)),
                _("A step is “cached” or “ran”; “?” leaves it open."),
                _("Write one of these for every step."),
            )


def label(state: State) -> str:
    """An answer with its sign."""
    words = {State.CACHED: _("from the cache"), State.RAN: _("runs again")}
    return f"{views.SIGNS[state.value]} {words[state]}"


def given() -> str:
    """What stands at FROM in place of a choice."""
    return _("{answer}, given").format(answer=label(State.CACHED))


class _Form:
    """The widgets of a guess: a grid of the steps with a choice in each, and what is still open."""

    def __init__(self, guess):
        import ipywidgets

        self._widgets, self._guess = ipywidgets, guess
        self._choices = {place: self._choice(place) for place in guess.asked}
        self._summary = self._html(guess.summary(), "labkit-summary")
        cells = [cell for place in range(len(guess.steps)) for cell in self._line(place)]
        grid = ipywidgets.GridBox(cells)
        self.box = ipywidgets.VBox([ipywidgets.HTML(_sheet()), grid, self._summary])
        self.box.add_class("labkit-guess")

    def _line(self, place):
        text = views.code(self._guess.steps[place].text)
        choice = self._choices.get(place) or self._html(given(), "labkit-given")
        return self._html(place + 1, "labkit-number"), self._html(text, "labkit-code"), choice

    def _html(self, content, name):
        inner = content if isinstance(content, views.Raw) else views.escape(content)
        cell = self._widgets.HTML(inner)
        cell.add_class(name)
        return cell

    def _choice(self, place):
        choice = self._widgets.RadioButtons(
            options=[(label(state), state) for state in CHOICES],
            value=self._guess._answers[place],
            orientation="horizontal",
        )
        choice.observe(lambda change: self._guess._answer(place, change["new"]), "value")
        choice.add_class("labkit-choice")
        return choice

    def show(self, place, state):
        """Show the answer to a step, and how many are still open."""
        self._choices[place].value = state
        self._summary.value = views.escape(self._guess.summary())


def _sheet():
    colours = f"--cached: {views.COLOURS['CACHED']}; --ran: {views.COLOURS['RAN']}"
    return f"<style>.labkit-guess {{ {colours} }}{_SHEET}</style>"


# The radio buttons of ipywidgets as two fields side by side, of which the chosen one is filled.
_SHEET = """
.labkit-guess { container-type: inline-size; font-size: 14px; }
.labkit-guess .widget-html, .labkit-guess .widget-html-content, .labkit-guess .widget-radio {
  margin: 0; width: auto; height: auto; line-height: 1.5; font-size: inherit; overflow: visible; }
.labkit-guess .widget-gridbox {
  grid-template-columns: max-content minmax(0, max-content) max-content; }
.labkit-guess .widget-gridbox > * {
  display: flex; align-items: center; padding: 4px 16px 4px 0; box-sizing: border-box; min-height: 2.7em;
  border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, .4)); }
.labkit-guess .labkit-number { justify-content: flex-end; padding-left: 8px; }
.labkit-guess .labkit-code { overflow-wrap: anywhere; min-width: 0; }
.labkit-guess .labkit-given { padding-left: 28px; }
.labkit-guess .widget-radio-box {
  display: flex; flex-direction: row; gap: 8px; margin: 0 !important; padding: 0; }
.labkit-guess .widget-radio-box label {
  display: flex; flex-direction: row-reverse; align-items: center; gap: 6px; width: auto;
  height: auto; margin: 0; padding: 2px 10px 2px 8px; line-height: 1.5; font-size: inherit;
  white-space: nowrap; cursor: pointer; border: 1px solid var(--jp-border-color1, gray);
  border-radius: 4px; }
.labkit-guess .widget-radio-box input { margin: 0; cursor: pointer; }
.labkit-guess .widget-radio-box label:hover {
  border-color: var(--jp-ui-font-color1, currentColor); }
.labkit-guess .widget-radio-box label:has(:focus-visible) {
  outline: 2px solid var(--jp-brand-color1, currentColor); outline-offset: 2px; }
.labkit-guess label:has(:focus-visible) input { outline: none; }
.labkit-guess label:first-child:has(:checked) {
  background: var(--cached); border-color: var(--cached); color: black; accent-color: black; }
.labkit-guess label:last-child:has(:checked) {
  background: var(--ran); border-color: var(--ran); color: white; accent-color: black; }
.labkit-guess .labkit-summary { padding: 8px; }
@container (max-width: 620px) {
  .labkit-guess .widget-gridbox { grid-template-columns: max-content minmax(0, 1fr); }
  .labkit-guess .labkit-number, .labkit-guess .labkit-code {
    border-bottom: none; min-height: 0; padding-bottom: 0; }
  .labkit-guess .labkit-choice, .labkit-guess .labkit-given { grid-column: 2; padding-left: 0; }
}
"""
