"""Dockerfiles that are out of the ordinary: each was once read wrongly, or might be."""

import uuid

import pytest

from labkit.errors import DockerfileError
from tests.conftest import with_docker_26

pytestmark = with_docker_26
BUILDERS = ("buildkit", "classic")


@pytest.fixture
def both(lab, machine, tmp_path):
    """Build a Dockerfile with both builders, twice; give the states of the second time."""

    def build(text, **options):
        (tmp_path / "f").write_text("file\n")
        nonce = uuid.uuid4().hex
        (tmp_path / "Dockerfile").write_text(
            text.format(base=machine.base, n=nonce), encoding=options.pop("encoding", "utf-8")
        )
        for _turn in range(2):
            builds = [lab.build(tmp_path, tag="odd", builder=b, **options) for b in BUILDERS]
        for one in builds:
            assert one.ok, one
            assert all(layer.instruction for layer in one.layers), one.layers
        assert builds[0].states() == builds[1].states()
        return builds[0]

    return build


@pytest.mark.parametrize(
    "text",
    [
        "FROM {base} AS a\nWORKDIR /app\nCOPY f .\nRUN cat f > /{n}\n"
        "FROM {base}\nWORKDIR /app\nCOPY f .\nCOPY --from=a /{n} /a",
        "FROM {base}\nWORKDIR .\nRUN echo {n} > /a\nRUN echo b > /b",
        "FROM {base}\nENV D=/\nWORKDIR $D\nRUN echo {n} > /a\nWORKDIR /srv\nWORKDIR ..\nRUN ls",
        "FROM {base}\nONBUILD RUN echo later\nRUN echo {n} > /a",
        'FROM {base}\nRUN ["sh", "-c", "echo {n} > /a"]\nRUN ["/bin/busybox", "touch", "/b"]',
        "# escape=`\nfrom {base}\nrun echo {n} `\n  # a comment\n  && echo b > /b\nenv A=1",
        "\n".join(["FROM {base}", *(f"RUN echo {{n}} > /{i}" for i in range(11))]),
        "FROM {base} AS Build\nRUN echo {n} > /a\nFROM scratch\nCOPY --from=BUILD /a /a",
        "FROM {base}\r\nRUN echo {n} > /a\r\n",
    ],
)
def test_a_second_build_is_cached_on_both_builders(both, text):
    assert set(both(text).states()) == {"CACHED"}


def test_a_base_given_as_an_argument(both, machine):
    text = "ARG B=scratch\nFROM $B AS x\nRUN echo {n} > /a\nFROM $B\nCOPY --from=x /a /a"
    assert set(both(text, build_args={"B": machine.base}).states()) == {"CACHED"}


def test_a_stage_named_by_an_argument(both):
    build = both("ARG S=two\nFROM {base} AS two\nRUN echo {n} > /a\nFROM $S\nRUN echo b > /b")
    assert [x.instruction.stage for x in build.layers][-2:] == [0, 1]


def test_triggers_of_the_base_do_not_shift_the_steps(lab, machine, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {machine.base}\nONBUILD RUN echo trigger > /t\n")
    lab.build(tmp_path, tag="odd-parent", builder="classic")
    text = f"FROM odd-parent\nRUN echo {uuid.uuid4()} > /a\nENV A=1\nRUN echo b > /b\n"
    (tmp_path / "Dockerfile").write_text(text)
    for builder in BUILDERS:
        assert lab.build(tmp_path, tag="odd", builder=builder).states()[1:] == ("RAN",) * 3


def test_a_stand_in_on_a_from_over_two_lines(both, machine, monkeypatch):
    monkeypatch.setenv("LABKIT_BASE", machine.base)
    assert set(both("FROM \\\n  ubuntu:24.04\nRUN echo {n} > /a").states()) == {"CACHED"}


def test_a_folder_whose_name_begins_with_a_dash(lab, machine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x").mkdir()
    (tmp_path / "-x/Dockerfile").write_text(f"FROM {machine.base}\nRUN true\n")
    for builder in BUILDERS:
        assert lab.build("-x", tag="odd", builder=builder).ok


def test_a_heredoc_runs_on_buildkit_and_is_refused_on_classic(lab, machine, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        f"FROM {machine.base}\nRUN <<END\necho {uuid.uuid4()} > /a\ncat /a\nEND\n"
    )
    build = lab.build(tmp_path, tag="odd", builder="buildkit")
    assert build.states() == ("CACHED", "RAN") and build.layers[-1].size_bytes > 30
    with pytest.raises(DockerfileError) as caught:
        lab.build(tmp_path, tag="odd", builder="classic")
    assert len(caught.value.parts()) == 3


@pytest.mark.parametrize("line", ["COPY --nope f /", "EXPOSE nope", "USER nobody-here\nRUN true"])
def test_what_only_the_engine_refuses_is_a_failed_build(lab, machine, tmp_path, line):
    (tmp_path / "f").touch()
    (tmp_path / "Dockerfile").write_text(f"FROM {machine.base}\n{line}\n")
    for builder in BUILDERS:
        build = lab.build(tmp_path, tag="odd", builder=builder)
        assert not build.ok
        assert len(build.problem.parts()) == 3 and len(build.problem.tried) > len(line)


def test_a_dockerfile_that_is_not_utf_8(lab, machine, tmp_path):
    (tmp_path / "Dockerfile").write_bytes(f"FROM {machine.base}\n# \xe9\n".encode("latin-1"))
    with pytest.raises(DockerfileError) as caught:
        lab.build(tmp_path)
    assert len(caught.value.parts()) == 3


def test_a_byte_order_mark(both):
    assert both("FROM {base}\nRUN echo {n} > /a", encoding="utf-8-sig").ok
