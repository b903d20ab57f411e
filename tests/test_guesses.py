"""The learner's prediction form: its answers, its text, its widgets."""

from types import SimpleNamespace

import pytest

from labkit import Lab, dockerfile, live
from labkit.besides import read_guess
from labkit.errors import FolderError, InputError
from labkit.guesses import CHOICES, Guess
from labkit.progress import State

TEXT = """ARG TAG=24.04
FROM ubuntu:$TAG
RUN echo "<script>alert('$HOME')</script>" && true
COPY app.py /srv/
"""
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def guess():
    return Guess(dockerfile.parse(TEXT))


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setattr(live, "in_notebook", lambda: True)


def choices(guess):
    """The radio buttons of a guess that is shown, by the place of the step."""
    guess._repr_mimebundle_()
    return guess._form._choices


def test_nothing_is_answered_at_first(guess):
    assert guess.states == ("?", "?", "?")
    assert read_guess(guess, 3) == (None, None, None)
    assert guess.summary() == "Still open: 2 of 2."


def test_its_text_is_a_table(guess):
    guess.set(["cached", "cached", "?"])
    assert str(guess).splitlines() == [
        "1  FROM ubuntu:$TAG                                  given",
        "2  RUN echo \"<script>alert('$HOME')</script>\" && t…  cached",
        "3  COPY app.py /srv/                                 ?",
        "Still open: 1 of 2.",
    ]


@pytest.mark.parametrize(
    "words", [("cached", "cached", "ran"), ("?", "CACHED", State.RAN), ("ran", "из кэша", "Ran")]
)
def test_words_answer_all_but_from(guess, words):
    assert guess.set(words) is guess
    assert guess.states == ("?", "CACHED", "RAN")
    assert read_guess(guess, 3) == (None, *CHOICES)
    assert guess.summary() == "You have predicted every step."


def test_an_answer_may_be_taken_back(guess):
    guess.set(guess.set(["?", "ran", "ran"]).states)
    assert guess.states == ("?", "RAN", "RAN")
    assert guess.set(["?"] * 3).states == ("?", "?", "?")


@pytest.mark.parametrize(
    "words",
    [[], ["ran"], ["ran"] * 4, ["?", "ran", "maybe"], ["?", "ran", "not reached"], "ran", 7],
)
def test_bad_words(guess, words):
    guess.set(["?", "ran", "cached"])
    with pytest.raises(InputError) as caught:
        guess.set(words)
    assert len(caught.value.parts()) == 3, str(caught.value)
    assert guess.states == ("?", "RAN", "CACHED"), "the answers stay"


def test_every_stage_is_asked_but_its_from():
    guess = Guess(dockerfile.parse("FROM a AS x\nRUN b\nFROM a\nCOPY --from=x /b /b"))
    assert guess.asked == (1, 3)


def test_outside_a_notebook_there_are_no_widgets(guess):
    bundle = guess._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == str(guess)


def test_in_a_notebook_there_is_a_form(guess, notebook):
    bundle = guess._repr_mimebundle_()
    assert bundle["text/plain"] == str(guess)
    assert bundle[VIEW]["model_id"] == guess._repr_mimebundle_()[VIEW]["model_id"]
    assert list(choices(guess)) == [1, 2]
    assert choices(guess)[1]._options_labels == ("✓ from the cache", "▶ runs again")


def test_a_click_answers(guess, notebook):
    choices(guess)[2].index = 1  # What the browser sends.
    assert guess.states == ("?", "?", "RAN")
    assert guess._form._summary.value == guess.summary() == "Still open: 1 of 2."
    assert "3  COPY app.py /srv/" in str(guess) and str(guess).splitlines()[2].endswith("  ran")


def test_words_show_in_the_form(guess, notebook):
    choices(guess)
    guess.set(["?", "ran", "?"])
    assert [choice.value for choice in choices(guess).values()] == [State.RAN, None]
    assert guess._form._summary.value == "Still open: 1 of 2."


def test_the_form_begins_with_the_answers_that_are_there(guess, notebook):
    guess.set(["?", "?", "cached"])
    assert [choice.value for choice in choices(guess).values()] == [None, State.CACHED]


def test_a_dockerfile_is_text_and_no_markup(guess, notebook):
    page = guess._repr_mimebundle_()["text/html"]
    grid = guess._form.box.children[1]
    for html in (page, *(cell.value for cell in grid.children if isinstance(cell.value, str))):
        assert "<script" not in html
    assert "&lt;script&gt;alert(&#x27;$HOME&#x27;)" in page


def test_it_speaks_russian(guess, notebook, monkeypatch):
    monkeypatch.setenv("LABKIT_LANG", "ru")
    assert choices(guess)[1]._options_labels == ("✓ из кэша", "▶ выполнится заново")
    assert guess.summary() == "Без ответа: 2 из 2."


@pytest.fixture
def lab():
    return Lab(engine=SimpleNamespace(name="none", builders=("buildkit",)))


def test_a_lab_asks_in_silence(lab, tmp_path, capsys):
    (tmp_path / "Dockerfile").write_text(TEXT)
    (tmp_path / "other").write_text("FROM a\nRUN b")
    assert len(lab.ask(tmp_path).steps) == 3
    assert lab.ask(tmp_path, "other").states == ("?", "?")
    assert capsys.readouterr() == ("", "")


def test_a_lab_says_what_is_missing(lab, tmp_path):
    with pytest.raises(FolderError):
        lab.ask(tmp_path)
