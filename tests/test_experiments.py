"""Experiments on real engines: what they measure, what they leave alone, what goes wrong."""

import os
import signal
import uuid

import pytest

from labkit import Lab, edits
from labkit.edits import Edit
from labkit.engine import connect
from labkit.errors import BaseError, ExperimentError, InputError
from labkit.progress import State
from labkit.reasons import Rule
from tests.conftest import environ, missing, with_docker_26, write_recipe
from tests.engines import machines
from tests.engines.base import tiny_base

RECIPE = """ENV GREETING=hello
RUN echo $GREETING > /greeting
COPY app.py /app/
RUN cat /app/app.py
CMD ["true"]"""
STEPS = 6


@pytest.fixture
def app(recipe):
    return recipe(RECIPE, {"app.py": "print()\n", "notes.txt": "n\n", ".dockerignore": "notes.txt"})


@pytest.fixture(params=("buildkit", "classic"))
def builder(request, lab):
    lab.builder = request.param
    return request.param


def ids(lab):
    return {row["Id"] for row in lab.engine.client.api.images(all=True)}


@with_docker_26
def test_every_edit_is_foreseen_and_built(lab, builder, app):
    before = {path: path.read_bytes() for path in app.iterdir()}
    experiment = lab.experiment(
        app,
        [
            edits.touch("app.py"),
            edits.change_file("app.py"),
            edits.change_file("notes.txt"),
            edits.break_step("cat /app"),
            edits.repair(),
            edits.swap(3, 4),
            edits.change_mode("app.py", 0o755),
            edits.add_file("more.txt"),
            edits.change_line(2, "ENV GREETING=bye"),
            edits.no_cache(),
            edits.again(),
        ],
    )
    assert experiment.wrong == ()
    first_that_ran = [
        next((n for n, s in enumerate(t.states(), 1) if s in ("RAN", "FAILED")), None)
        for t in experiment
    ]
    # BuildKit tells of ENV what it tells of its neighbour, and ENV does not count for COPY.
    order, env = (2, 4) if builder == "buildkit" else (3, 2)
    assert first_that_ran == [2, None, 4, None, 5, None, order, order, None, env, 2, None]
    assert experiment[4].build.failed.instruction.line == 5
    assert experiment[4].states()[-1] == "NOT_REACHED"
    assert {path: path.read_bytes() for path in app.iterdir()} == before


@with_docker_26
def test_reasons_name_what_changed(lab, builder, app):
    steps = [
        edits.change_file("app.py"),
        edits.change_mode("app.py", 0o755),
        edits.touch("app.py"),
        edits.change_file("notes.txt"),
        edits.add_file("more.txt"),
        edits.again(),
    ]
    trials = list(lab.experiment(app, steps))[1:]
    told = [t.prediction.steps[3].reason for t in trials]
    assert [r.rule for r in told[:3]] == [Rule.CONTENT, Rule.MODE, Rule.SAME]
    assert told[0].names == ("app.py",)
    notes = [tuple(n.rule for n in t.prediction.unheeded) for t in trials]
    assert notes == [(), (), (Rule.MTIME,), (Rule.IGNORED,), (Rule.UNCOPIED,), ()]
    assert trials[0].prediction.steps[4].reason.rule is Rule.ABOVE
    assert trials[0].prediction.steps[4].reason.cause.line == 4


@with_docker_26
def test_a_build_argument(lab, builder, recipe):
    folder = recipe("RUN true\nARG WORD=one\nCOPY a /a\nRUN echo $WORD\n", {"a": "a"})
    experiment = lab.experiment(
        folder, [edits.build_arg("WORD", "two"), edits.build_arg("NOBODY", 1)]
    )
    assert experiment.wrong == ()
    assert experiment[1].states()[2:] == ("CACHED", "CACHED", "RAN")[-3:]
    assert experiment[1].prediction.steps[4].reason == experiment[1].prediction.steps[4].reason
    assert experiment[1].prediction.steps[4].reason.names == ("WORD",)
    assert experiment[2].prediction.unheeded[0].rule is Rule.UNUSED_ARG


@with_docker_26
def test_rounds_give_a_median_and_its_spread(lab, builder, app):
    experiment = lab.experiment(app, [edits.change_file("app.py")], repeat=3)
    assert [len(t.builds) for t in experiment] == [3, 3]
    assert all(b.states() == t.states() for t in experiment for b in t.builds)
    whole = experiment[1].seconds()
    assert whole.least <= whole.median <= whole.most and whole.count == 3
    assert experiment[1].seconds(1) is None
    assert experiment[1].seconds(5).median > 0
    assert experiment[1].made_bytes(4) >= len("print()\n")


@with_docker_26
def test_the_cache_and_the_images_of_others_stay(lab, builder, app, recipe, tmp_path, machine):
    """A decoy build is cached after an experiment, and nothing of the experiment is left."""
    decoy = write_recipe(
        tmp_path / "decoy", machine.base, f"RUN echo {uuid.uuid4()}\nCOPY a /a", {"a": "a"}
    )
    lab.build(decoy, tag="decoy")
    before = ids(lab)
    lab.experiment(app, [edits.change_file("app.py"), edits.break_step(5), edits.no_cache()])
    assert ids(lab) == before
    assert set(lab.build(decoy, tag="decoy").states()) == {"CACHED"}


@with_docker_26
def test_an_experiment_starts_cold_though_all_was_built_before(lab, builder, app):
    lab.build(app, tag="warm")
    for _turn in range(2):
        assert lab.experiment(app)[0].states()[1:5] == ("RAN",) * 4


@with_docker_26
def test_a_stage_on_scratch_is_not_predicted_where_others_may_have_built_it(
    lab, builder, machine, recipe
):
    folder = recipe("RUN true\nFROM scratch\nCOPY a /a", {"a": uuid.uuid4().hex})
    experiment = lab.experiment(folder, [edits.change_file("a")])
    assert experiment.wrong == ()
    assert experiment[0].prediction.steps[-1].reason.rule is Rule.OUTSIDE


@with_docker_26
def test_the_learners_own_prediction(lab, builder, app):
    trial = lab.experiment(app, [edits.change_file("app.py")])[1]
    beside = trial.beside(["cached", "cached", "ran", "RAN", State.RAN, "?"])
    assert beside.right() == (True, True, False, True, True, None)
    assert "4 of 5" in str(beside)
    for wrong in (["cached"], ["cached"] * 5 + ["perhaps"]):
        with pytest.raises(InputError) as caught:
            trial.beside(wrong)
        assert len(caught.value.parts()) == 3


@with_docker_26
def test_the_learners_files_are_left_alone_where_links_lead_to_them(lab, app, tmp_path):
    real = tmp_path / "Dockerfile.real"
    (app / "Dockerfile").rename(real)
    (app / "Dockerfile").symlink_to(real)
    (app / "current").symlink_to(real)
    os.mkfifo(app / "pipe")
    before = real.read_bytes()
    experiment = lab.experiment(app, edits.change_line(2, "ENV GREETING=bye"))
    assert len(experiment) == 2 and real.read_bytes() == before
    with pytest.raises(InputError):
        lab.experiment(app, edits.change_file("current", "changed"))
    assert real.read_bytes() == before


@with_docker_26
def test_a_dockerfile_in_a_folder_of_its_own_and_on_scratch(lab, builder, app):
    (app / "docker").mkdir()
    (app / "docker" / "Dockerfile").write_text("FROM scratch\nCOPY . /all\nCOPY app.py /app.py\n")
    before = ids(lab)
    experiment = lab.experiment(
        app,
        [edits.change_line(3, "COPY app.py /b.py"), edits.again()],
        dockerfile="docker/Dockerfile",
    )
    assert experiment.wrong == () and experiment[1].states()[1:] == ("RAN", "RAN")
    assert experiment[2].build.why(2).rule is Rule.SAME
    assert builder == "classic" or ids(lab) == before


# Why it was missed


@with_docker_26
def test_a_build_tells_why_beside_the_one_before(lab, builder, app):
    app.joinpath("Dockerfile").write_text(
        app.joinpath("Dockerfile").read_text().replace("RUN cat", f"RUN echo {uuid.uuid4()}; cat")
    )
    lab.build(app, tag="why")
    app.joinpath("app.py").write_text("print(2)\n")
    build = lab.build(app, tag="why")
    assert build.why(4).rule is Rule.CONTENT and build.why(4).names == ("app.py",)
    assert build.why(build.steps[2]).rule in (Rule.SAME, Rule.EARLIER)
    assert build.why(build.steps[4].instruction).rule is Rule.ABOVE
    assert "app.py" in str(build.why())
    with pytest.raises(InputError) as caught:
        build.why(STEPS + 1)
    assert len(caught.value.parts()) == 3


@with_docker_26
def test_a_cache_older_than_the_lab_is_named(lab, builder, app):
    lab.build(app, tag="why")
    build = Lab(builder, lab.engine).build(app, tag="why")
    assert build.why(3).rule is Rule.REMEMBERED


@with_docker_26
def test_bytes_of_another_stage_are_known_afterwards(lab, recipe):
    lab.builder = "buildkit"
    word = uuid.uuid4()
    text = "RUN echo {w} > /word && {more}\nFROM {base}\nCOPY --from=0 /word /word\nRUN cat /word"
    states = []
    for w, more in ((word, "true"), (word, "echo"), (uuid.uuid4(), "echo")):
        folder = recipe(text.format(w=w, more=more, base=lab._stages_base))
        build = lab.build(folder, tag="bytes")
        states.append((build.states()[-1], build.why(4).rule))
    assert states[1:] == [("CACHED", Rule.BYTES_SAME), ("RAN", Rule.BYTES_OTHER)]


@pytest.fixture(autouse=True)
def stages_base(request):
    """The base of the engine under test, for Dockerfiles with several stages."""
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab")._stages_base = request.getfixturevalue("machine").base


# Bad input


@with_docker_26
@pytest.mark.parametrize(
    "edit, word",
    [
        (edits.change_line(99, "RUN true"), "99"),
        (edits.change_line("no such text", "RUN true"), "no such text"),
        (edits.change_line("RUN", "RUN true"), "RUN"),
        (edits.swap(1, "nothing"), "nothing"),
        (edits.break_step(4), "COPY"),
        (edits.repair(), "repair"),
        (edits.touch("app.pz"), "app.pz"),
        (edits.change_file("../outside"), "../outside"),
        (edits.change_line(3, "RUM true"), "RUM"),
    ],
)
def test_an_edit_that_finds_nothing_is_named_before_anything_is_built(lab, app, edit, word):
    before = ids(lab)
    with pytest.raises(InputError) as caught:
        lab.experiment(app, [edits.again(), edit])
    assert len(caught.value.parts()) >= 2 and word in str(caught.value)
    assert ids(lab) == before and lab.measured is None


@with_docker_26
@pytest.mark.parametrize(
    "given, repeat", [(["touch"], 1), (edits.again(), 0), ([edits.again(), None], 1)]
)
def test_what_is_no_experiment(lab, app, given, repeat):
    with pytest.raises(InputError) as caught:
        lab.experiment(app, given, repeat=repeat)
    assert len(caught.value.parts()) == 3


@with_docker_26
def test_a_stage_with_the_name_of_its_base(lab, app, machine):
    name = machine.base.rsplit(":", 1)[0].rsplit("/", 1)[-1]
    lab.engine.client.images.get(machine.base).tag(name)
    (app / "Dockerfile").write_text(f"FROM {name} AS {name}\nRUN true\n")
    with pytest.raises(ExperimentError) as caught:
        lab.experiment(app)
    lab.engine.client.images.remove(f"{name}:latest")
    assert name in str(caught.value) and len(caught.value.parts()) == 3


@with_docker_26
def test_a_base_that_is_gone(lab, app):
    (app / "Dockerfile").write_text("FROM labkit-test/nothing-here:1\nRUN true\n")
    with pytest.raises(ExperimentError) as caught:
        lab.experiment(app, [edits.again()])
    assert len(caught.value.parts()) == 3 and isinstance(caught.value.__cause__, BaseError)
    assert "nothing-here" in str(caught.value)


@with_docker_26
def test_a_base_with_triggers(lab, app, machine):
    onbuild = app.parent / "onbuild"
    write_recipe(onbuild, machine.base, "ONBUILD RUN true")
    lab.build(onbuild, tag="triggers")
    (app / "Dockerfile").write_text("FROM triggers\nRUN true\n")
    with pytest.raises(ExperimentError) as caught:
        lab.experiment(app)
    assert "ONBUILD" in str(caught.value)


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_an_engine_that_dies_between_two_edits(tmp_path, builder):
    """What was measured before is kept; the error has three parts."""
    if reason := machines.why_not("docker-26.1"):
        missing(reason)
    with machines.running("docker-26.1") as own, environ(own.environ):
        engine = connect(own.host, "test")
        folder = write_recipe(tmp_path / "app", tiny_base(engine.client), RECIPE, {"app.py": ""})
        calls = []

        def end_the_engine(_bench):
            calls.append(1)
            if len(calls) == 2:  # The first time the edits are only checked.
                os.kill(own.netns_pid, signal.SIGKILL)

        lab = Lab(builder, engine)
        with pytest.raises(ExperimentError) as caught:
            lab.experiment(folder, [edits.change_file("app.py"), Edit("the end", end_the_engine)])
    assert len(caught.value.parts()) == 3
    assert len(caught.value.measured) == 2 == len(lab.measured)
    assert lab.measured[1].states()[3] == "RAN"


def test_podmans_rules_are_not_known(machine, lab, app):
    if machine.name != "podman":
        pytest.skip("This engine's rules are known")
    with pytest.raises(InputError) as caught:
        lab.experiment(app)
    assert len(caught.value.parts()) == 3
    assert lab.build(app, tag="podman").reasons == ()
