"""The contract of `Lab` on every engine: Docker 20.10, 26.1, its containerd store, Podman."""

import hashlib
import tarfile
import uuid

import pytest

from labkit import base
from labkit.errors import ContainerError, InputError
from tests.engines.base import tiny_tar

WEB = """RUN mkdir /www && echo built > /www/built
COPY index.html /www/index.html
ENV GREETING=hello
ENTRYPOINT ["busybox", "httpd", "-f", "-p", "5000", "-h", "/www"]"""


@pytest.fixture(params=("buildkit", "classic"))
def builder(request, lab):
    if request.param not in lab.engine.builders:
        pytest.skip(f"{lab.engine.name} {lab.engine.version} has no {request.param} here")
    lab.builder = request.param
    return request.param


@pytest.fixture
def web(recipe):
    """The small web server, with a line of its own so that no cache knows it."""
    return recipe(WEB.replace("built >", f"{uuid.uuid4()} >"), {"index.html": "hello\n"})


def test_engine_has_the_builders_that_its_packages_bring(machine):
    assert (
        machine.engine.builders
        == {
            "docker-20.10": ("classic",),
            "docker-26.1": ("buildkit", "classic"),
            "docker-26.1-containerd": ("buildkit", "classic"),
            "podman": ("classic",),
        }[machine.name]
    )


def test_first_build_runs_every_step(lab, builder, web):
    build = lab.build(web, tag="contract-web")
    assert build.states() == ("CACHED", "RAN", "RAN", "RAN", "RAN")
    assert build.ok and build.problem is None
    assert all(step.seconds > 0 for step in build.steps[1:3])
    assert build.steps[0].seconds is None


def test_second_build_is_all_cached(lab, builder, web):
    first = lab.build(web, tag="contract-web")
    again = lab.build(web, tag="contract-web")
    assert again.states() == ("CACHED",) * 5
    assert all(step.seconds is None for step in again.steps)
    assert [layer.digest for layer in again.layers] == [layer.digest for layer in first.layers]


def test_no_cache_runs_again(lab, builder, web):
    lab.build(web, tag="contract-web")
    assert lab.build(web, tag="contract-web", no_cache=True).states()[1:3] == ("RAN", "RAN")


def test_failing_step_is_a_build_and_no_error(lab, builder, recipe):
    folder = recipe('RUN true\nRUN echo last words; exit 7\nRUN true\nENTRYPOINT ["x"]')
    build = lab.build(folder, tag="contract-fails")
    assert build.states()[2:] == ("FAILED", "NOT_REACHED", "NOT_REACHED")
    assert build.failed.exit_code == 7
    assert "last words" in build.failed.log
    assert not build.ok and build.layers == () and build.image_id is None
    assert "7" in build.problem.what and "Line 3" in build.problem.tried and build.problem.next_step


def test_repair_reuses_the_steps_before(lab, builder, recipe):
    nonce = uuid.uuid4()
    lab.build(recipe(f"RUN echo {nonce}\nRUN false"), tag="contract-repaired")
    build = lab.build(recipe(f"RUN echo {nonce}\nRUN true"), tag="contract-repaired")
    assert build.states() == ("CACHED", "CACHED", "RAN")


def test_layers_are_joined_to_their_instructions(lab, builder, web):
    build = lab.build(web, tag="contract-web")
    by_keyword = {layer.instruction.keyword: layer for layer in build.layers}
    assert list(by_keyword) == ["FROM", "RUN", "COPY", "ENV", "ENTRYPOINT"]
    assert all(by_keyword[k].has_layer for k in ("FROM", "RUN", "COPY"))
    assert [by_keyword[k].has_layer for k in ("ENV", "ENTRYPOINT")] == [False, False]
    inspected = lab.engine.client.api.inspect_image("contract-web")
    assert [x.digest for x in build.layers if x.has_layer] == inspected["RootFS"]["Layers"]


def test_a_copied_file_has_its_size(lab, builder, recipe):
    build = lab.build(recipe("COPY big /big", {"big": "x" * 40_000}), tag="contract-size")
    # The containerd store counts blocks on disk, Podman the tar: both more than the file.
    assert 40_000 <= build.layers[-1].size_bytes < 60_000


def test_history_tells_the_same_as_the_build(lab, builder, web):
    build = lab.build(web, tag="contract-web")
    history = lab.history("contract-web")
    assert [x.digest for x in history.layers] == [x.digest for x in build.layers]
    assert [x.created_by.split()[0] for x in history.layers[-4:]] == [
        "RUN",
        "COPY",
        "ENV",
        "ENTRYPOINT",
    ]


def test_saved_layer_hashes_to_its_digest(lab, builder, web, tmp_path):
    """Also where the engine has another image of the same name, with another tag."""
    layer = lab.build(web, tag="contract-web").layers[-3]
    (web / "index.html").write_text("version 2\n")
    lab.build(web, tag="contract-web:v2")
    file = lab.save_layer("contract-web", layer, tmp_path / "layer.tar")
    assert "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest() == layer.digest
    assert tarfile.open(file).extractfile("www/index.html").read() == b"hello\n"


def test_a_base_is_brought_in_under_its_name(machine, tmp_path):
    archive = tmp_path / "base.tar"
    archive.write_bytes(tiny_tar())
    base._import(machine.engine, archive, "labkit/base:contract-1")
    assert base.present(machine.engine, "labkit/base:contract-1")
    machine.engine.client.images.remove("labkit/base:contract-1")


def test_run_answers_and_leaves_nothing(lab, builder, web):
    lab.build(web, tag="contract-web")
    with lab.run("contract-web", port=5000) as server:
        assert server.response.text == "hello\n"
        assert server.get("/index.html").status == 200
        assert server.get("/nothing").status == 404
        container = server.container.id
    assert container not in [c.id for c in lab.engine.client.containers.list(all=True)]


def test_dockerignore_keeps_files_out(lab, builder, recipe):
    files = {
        "a.txt": "a",
        "b.log": "b",
        "deep/c.log": "c",
        "keep.log": "k",
        ".dockerignore": "# logs\n*.log\n!keep.log\nDockerfile\n.dockerignore\n",
    }
    folder = recipe("COPY . /all\nRUN find /all -type f | sort", files)
    build = lab.build(folder, tag="contract-ignored", no_cache=True)
    found = [word for word in build.steps[2].log.split() if word.startswith("/all/")]
    assert found == ["/all/a.txt", "/all/deep/c.log", "/all/keep.log"]


def test_an_ignored_dockerfile_is_not_copied_with_a_stand_in(
    lab, builder, recipe, machine, monkeypatch
):
    monkeypatch.setenv("LABKIT_BASE", machine.base)
    folder = recipe("RUN true", {"a": "a", ".dockerignore": "Dockerfile\n.dockerignore\n"})
    (folder / "Dockerfile").write_text("FROM ubuntu:24.04\nCOPY . /all\nRUN ls -a /all\n")
    build = lab.build(folder, tag="contract-ignored", no_cache=True)
    assert build.steps[2].log.split() == [".", "..", "a"]


def test_target_args_and_other_file(lab, builder, recipe, machine):
    folder = recipe("RUN true")
    (folder / "Other").write_text(
        "ARG BASE=none\nFROM $BASE AS first\nARG WORD\nRUN echo got-$WORD\nFROM first\nRUN false\n"
    )
    build = lab.build(
        folder,
        tag="contract-target",
        dockerfile="Other",
        target="first",
        build_args={"BASE": machine.base, "WORD": uuid.uuid4().hex},
        no_cache=True,
    )
    assert build.ok, build
    assert "got-" in build.steps[2].log
    assert build.states()[3:] == ("NOT_REACHED", "NOT_REACHED")


def test_multi_stage_layers_belong_to_the_last_stage(lab, builder, recipe, machine):
    folder = recipe(
        f"RUN echo {uuid.uuid4()} > /made\nFROM {machine.base}\nENV A=1\nCOPY --from=0 /made /made"
    )
    build = lab.build(folder, tag="contract-stages")
    assert build.states() == ("CACHED", "RAN", "CACHED", "RAN", "RAN")
    assert [x.instruction.stage for x in build.layers] == [1, 1, 1]


def test_stand_in_is_named_and_used(lab, builder, recipe, machine, monkeypatch, capsys):
    monkeypatch.setenv("LABKIT_BASE", machine.base)
    folder = recipe("RUN true")
    (folder / "Dockerfile").write_text("FROM ubuntu:24.04\nCOPY . /all\nRUN ls -a /all\n")
    build = lab.build(folder, tag="contract-standin", no_cache=True)
    assert build.ok, build
    assert f"FROM ubuntu:24.04, here {machine.base}" in str(build)
    assert machine.base in capsys.readouterr().out
    assert build.steps[2].log.split() == [".", "..", "Dockerfile"]


def test_printed_command_does_the_same(lab, builder, recipe, machine, monkeypatch, capsys):
    import subprocess

    monkeypatch.setenv("LABKIT_BASE", machine.base)
    folder = recipe("RUN true")
    (folder / "Dockerfile").write_text(f"FROM ubuntu:24.04\nRUN echo {uuid.uuid4()}\n")
    lab.build(folder, tag="contract-printed")
    line = capsys.readouterr().out.splitlines()[0].removeprefix("$ ")
    before = lab.engine.client.api.inspect_image("contract-printed")["RootFS"]["Layers"]
    if machine.name == "podman":
        pytest.skip("Podman's own CLI is not docker's")
    done = subprocess.run(line, shell=True, env=lab.engine.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = lab.engine.client.api.inspect_image("contract-printed")["RootFS"]["Layers"]
    assert after == before
    lab.engine.client.images.remove("contract-printed")


def test_unknown_image_has_three_parts(lab):
    with pytest.raises(InputError) as caught:
        lab.history("contract-nothing")
    assert len(caught.value.parts()) == 3


@pytest.fixture
def decoys(lab, machine):
    """What was there before, without a label: an image, a container, a volume."""
    client = lab.engine.client
    client.images.get(machine.base).tag("decoy/image", "1")
    container = client.containers.create("decoy/image:1", ["true"])
    volume = client.volumes.create(f"decoy-{uuid.uuid4().hex}")
    yield {"decoy/image:1"}, {container.id}, {volume.id}
    container.remove()
    volume.remove()
    client.images.remove("decoy/image:1")


def what_is_there(client):
    names = {name.removeprefix("docker.io/") for i in client.images.list() for name in i.tags}
    containers = {c.id for c in client.containers.list(all=True)}
    return names, containers, {v.id for v in client.volumes.list()}


def test_decoys_survive_every_command(lab, builder, web, decoys, recipe, tmp_path):
    build = lab.build(web, tag="contract-web")
    lab.history("contract-web")
    lab.save_layer("contract-web", build.layers[-3], tmp_path / "layer.tar")
    with lab.run("contract-web", port=5000):
        pass
    lab.build(recipe("RUN false"), tag="contract-fails")
    lab.clean()
    for kept, there in zip(decoys, what_is_there(lab.engine.client)):
        assert kept <= there


def test_clean_takes_what_labkit_made_and_not_what_grew_from_it(lab, builder, web):
    """Somebody's image FROM ours, container of ours and second name for ours have our label."""
    client = lab.engine.client
    lab.build(web, tag="contract-web")
    started = client.containers.create("contract-web")
    started.commit("decoy/heir", "1")
    nameless = started.commit().id
    client.images.get("contract-web").tag("decoy/second", "1")
    cleaned = lab.clean()
    names, containers, _volumes = what_is_there(client)
    assert cleaned.images >= 1
    assert not any("contract-web" in name for name in names)
    assert {"decoy/heir:1", "decoy/second:1"} <= names
    assert started.id in containers
    assert client.images.get(nameless)
    started.remove()
    client.images.remove(nameless)
    client.images.remove("decoy/heir:1")
    client.images.remove("decoy/second:1")


def test_clean_goes_on_where_one_image_is_in_use(lab, builder, recipe):
    client = lab.engine.client
    for name in ("contract-used", "contract-free"):
        lab.build(recipe(f"RUN echo {uuid.uuid4()} > /made"), tag=name)
    user = client.containers.create("contract-used")
    with pytest.raises(ContainerError) as caught:
        lab.clean()
    assert len(caught.value.parts()) == 3
    names = what_is_there(client)[0]
    assert not any("contract-free" in name for name in names)
    user.remove()
    assert lab.clean().images >= 1


@pytest.mark.parametrize(
    "command, word",
    [(["echo", "good bye"], "ended"), (["sleep", "60"], "5000"), (["nothing-here"], "")],
)
def test_a_container_that_does_not_answer(lab, machine, command, word):
    with pytest.raises(ContainerError) as caught:
        with lab.run(machine.base, command=command, seconds=1):
            pass
    assert len(caught.value.parts()) == 3
    assert word in str(caught.value)
    assert not lab.engine.client.containers.list(all=True, filters={"label": "labkit.container"})


def test_a_run_prints_what_it_was_given(lab, machine, capsys):
    with pytest.raises(ContainerError):
        with lab.run(machine.base, environment={"A": "b c"}, command=["true"], seconds=1):
            pass
    line = f"$ docker run --rm -p 5000:5000 -e 'A=b c' {machine.base} true\n"
    assert capsys.readouterr().out == line
