"""Recordings of real builds, read by the code that reads a live one."""

from pathlib import Path

import pytest

from labkit import builds, recording
from labkit.errors import InputError

FILES = sorted((Path(__file__).parent / "recordings").glob("*.json"))
READ = {file.stem: builds.read(recording.load(file)) for file in FILES}


def read(recipe):
    """name of the engine and builder -> Build, for one recipe and turn."""
    return {k.split(".", 1)[1]: b for k, b in READ.items() if k.split(".", 1)[0] == recipe}


def test_there_is_one_of_every_engine_and_builder():
    assert sorted(read("web-first")) == [
        "docker-20.10.classic",
        "docker-26.1-containerd.buildkit",
        "docker-26.1-containerd.classic",
        "docker-26.1.buildkit",
        "docker-26.1.classic",
        "podman.classic",
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recording_says_of_which_engine_and_date(file):
    loaded = recording.load(file)
    assert loaded.versions["version"] and loaded.versions["engine"] in ("Docker", "Podman")
    assert loaded.started > "2026-11"
    assert loaded.replay


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_saving_and_loading_changes_nothing(file, tmp_path):
    loaded = recording.load(file)
    loaded.save(tmp_path / "again.json")
    assert recording.load(tmp_path / "again.json") == loaded


@pytest.mark.parametrize(
    "recipe, states",
    [
        ("web-first", ("CACHED", "RAN", "RAN", "RAN", "RAN")),
        ("web-again", ("CACHED",) * 5),
        ("stages-first", ("CACHED", "RAN", "RAN", "CACHED", "RAN", "RAN", "RAN", "RAN", "RAN")),
        ("stages-again", ("CACHED",) * 9),
        ("fails-first", ("CACHED", "RAN", "FAILED", "NOT_REACHED", "NOT_REACHED")),
    ],
)
def test_every_engine_tells_the_same_states(recipe, states):
    assert {name: build.states() for name, build in read(recipe).items()} == dict.fromkeys(
        read(recipe), states
    )


def test_every_engine_tells_the_same_instructions_and_layers():
    told = {
        tuple((x.instruction.text, x.has_layer) for x in build.layers)
        for build in read("web-first").values()
    }
    assert len(told) == 1


def test_plain_text_is_equal_on_every_engine():
    for recipe in ("web-first", "web-again", "stages-first"):
        assert len({builds.text(build) for build in read(recipe).values()}) == 1


def test_a_run_that_changes_nothing_differs_as_written():
    runs = {
        name: next(x for x in build.layers if x.created_by == "RUN true").has_layer
        for name, build in read("stages-first").items()
    }
    assert {name for name, has_layer in runs.items() if not has_layer} == {
        "docker-20.10.classic",
        "docker-26.1.classic",
        "docker-26.1-containerd.classic",
    }


def test_what_was_broken_off_is_not_taken_for_cached():
    """BuildKit says `cached` of steps above a COPY without its source, though it never got there."""
    told = {name: build.states() for name, build in read("missing-first").items()}
    assert told["docker-26.1.classic"] == ("CACHED", "RAN", "RAN", "FAILED", "NOT_REACHED")
    for name in ("docker-26.1.buildkit", "docker-26.1-containerd.buildkit"):
        assert told[name][0] == "CACHED" and told[name][2:] == (
            "NOT_REACHED",
            "FAILED",
            "NOT_REACHED",
        )
        assert told[name][1] in ("RAN", "NOT_REACHED")


@pytest.mark.parametrize("name", [n for n in READ if n.startswith(("fails", "missing"))])
def test_a_failed_build_has_a_problem_in_three_parts(name):
    assert len(READ[name].problem.parts()) == 3
    assert READ[name].failed.error


@pytest.mark.parametrize("name", [n for n in READ if n.startswith("fails")])
def test_exit_code_and_last_words(name):
    assert READ[name].failed.exit_code == 7
    assert READ[name].failed.log.strip() == "last words"


def test_no_internal_reference_is_shown_to_a_learner():
    problem = READ["missing-first.docker-26.1.buildkit"].problem
    assert problem.tried.splitlines()[1] == '"/nothing.txt": not found'


def test_a_replay_says_so():
    assert "replay" in str(READ["web-first.podman.classic"])


def test_page_escapes_what_the_learner_wrote():
    loaded = recording.load(FILES[0])
    evil = recording.Recording(
        loaded.builder, "FROM a\nRUN echo '<img src=x onerror=alert(1)>'", tag="<b>"
    )
    page = builds.page(builds.read(evil))
    assert "<img" not in page and "<b>" not in page and "&lt;img" in page


def test_compare_finds_what_is_shared():
    a, b = READ["web-first.docker-26.1.buildkit"], READ["stages-first.docker-26.1.buildkit"]
    both = builds.compare(a, b)
    assert [x.instruction.keyword for x in both.shared] == ["FROM"]
    assert [x.instruction.keyword for x in both.only_b] == ["WORKDIR", "COPY", "RUN"]


def test_a_file_that_is_no_recording_is_a_clear_error(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(InputError) as caught:
        recording.load(tmp_path / "x.json")
    assert len(caught.value.parts()) == 3
