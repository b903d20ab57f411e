"""A build while it runs: widgets in a notebook, a line a step elsewhere."""

import sys
import threading
import time

from labkit import units, views
from labkit.progress import Reader, Row, State

_TICK_SECONDS = 0.5


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def view(title: str, reader: Reader):
    """The view that suits the place; a context manager with `update(row)`."""
    return NotebookView(title, reader) if in_notebook() else TextView(reader)


class TextView:
    """Prints each step when it is done."""

    def __init__(self, reader):
        self._rows, self._printed = reader.rows, set()
        self._stands_in = reader.stands_in

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for row in self._rows:
            row.running = False
        self.update()

    def update(self, _row: Row | None = None) -> None:
        for row in self._rows:
            if row.reached and not row.running:
                self._print(row)

    def _print(self, row):
        if row.instruction.index in self._printed or not (row.reached or row.error):
            return
        self._printed.add(row.instruction.index)
        position = self._rows.index(row) + 1
        state = row.state()
        time_ = units.duration(row.seconds) if state in (State.RAN, State.FAILED) else ""
        text = views.short(views.instruction(row.instruction, self._stands_in))
        word = views.state_word(state.value)
        print(f"{position}/{len(self._rows)} {text}: {word} {time_}".rstrip(), flush=True)


class NotebookView:
    """A table of widgets, each changed by its trait; it goes when the build is over.

    A background thread moves the clock of the step that runs, since a silent step sends nothing.
    """

    def __init__(self, title, reader):
        import ipywidgets

        self._widgets, self._rows = ipywidgets, reader.rows
        self._cells = [self._line(row, reader.stands_in) for row in reader.rows]
        self._log = ipywidgets.HTML()
        self._box = _named_box(ipywidgets, title)(
            [ipywidgets.HTML(views.paragraph(title)), *[c["row"] for c in self._cells], self._log]
        )
        self._done, self._shown = threading.Event(), 0.0
        self._lock = threading.Lock()
        self._current = None

    def _line(self, row, stands_in):
        html, layout = self._widgets.HTML, self._widgets.Layout
        text = views.short(views.instruction(row.instruction, stands_in))
        cells = {
            "state": html(layout=layout(flex="0 0 120px")),
            "seconds": html(layout=layout(flex="0 0 80px")),
            "text": html(views.code(text)),
        }
        cells["row"] = self._widgets.HBox(list(cells.values()))
        return cells

    def __enter__(self):
        from IPython.display import display

        for row in self._rows:
            self._draw(row)
        display(self._box)
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()
        return self

    def __exit__(self, *_error):
        self._done.set()
        self._clock.join(timeout=2)
        for widget in (self._box, self._log):
            widget.close()

    def update(self, row: Row) -> None:
        """Show the row, a running one at most ten times a second, and any whose state is new."""
        now = time.monotonic()
        if not row.running or row is not self._current or now - self._shown >= 0.1:
            self._shown, self._current = now, row
            self._draw(row)
        for other, cells in zip(self._rows, self._cells):
            if _state(other) != cells["name"]:
                self._draw(other)

    def _tick(self):
        while not self._done.wait(_TICK_SECONDS):
            for row in self._rows:
                if row.running:
                    self._draw(row)

    def _draw(self, row):
        with self._lock:
            cells, name = self._cells[self._rows.index(row)], _state(row)
            cells["name"] = name
            cells["state"].value = views.state(name)
            cells["seconds"].value = views.escape(self._time(cells, row, name))
            if name == "RUNNING":
                self._log.value = views.code(views.short(row.log.last_line(), 110))

    def _time(self, cells, row, name):
        """The seconds so far, by our own clock: the builder's may differ from it."""
        if name == "RUNNING":
            began = cells.setdefault("began", time.monotonic())
            return units.duration(time.monotonic() - began)
        return units.duration(row.seconds) if name in ("RAN", "FAILED") else ""


def _state(row):
    return "RUNNING" if row.running and not row.error else row.state().value


def _named_box(ipywidgets, title):
    """A VBox whose text form is its title: the text form is part of a lesson's checked output."""

    class BuildView(ipywidgets.VBox):
        def __repr__(self):
            return title

    return BuildView
