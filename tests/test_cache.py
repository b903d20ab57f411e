"""What the cache is foreseen to do, from recipes alone; and what was once foreseen wrongly."""

import os

import pytest

from labkit import cache, dockerfile
from labkit.files import File, Files
from labkit.progress import State
from labkit.reasons import Reason, Rule
from labkit.recipes import Base, Recipe
from labkit.request import prepare
from labkit.snapshot import Snapshots
from labkit.sources import SOURCES
from labkit.words import LANGUAGES
from tests.conftest import with_docker_26

BUILDERS = ("buildkit", "classic")
BASES = {"base": Base("base", "base-1"), "other": Base("other", "other-1")}
DEFAULT = {"a": "1", "b": "2", "d/x": "3", "d/y": "4"}


def files(**contents) -> Files:
    """A context: name -> content, or (content, mode); folders come of themselves."""
    found = {}
    for name, content in {**DEFAULT, **contents}.items():
        if content is None:
            continue
        content, mode = content if isinstance(content, tuple) else (content, 0o644)
        if "/" in name:
            found[name.split("/")[0]] = File("folder", 0o755)
        found[name] = File("file", mode, len(content), content)
    return Files(dict(sorted(found.items())))


def recipe(lines: str, builder="buildkit", context=None, **options) -> Recipe:
    text = lines if lines.startswith("FROM") else f"FROM base\n{lines}"
    made = dockerfile.parse(text)
    return Recipe(made, context or files(), bases=BASES, builder=builder, **options)


def foretell(before, after, builder="buildkit", context=None, **options):
    """The prediction for `after` once `before` was built; options are those of the second."""
    first = recipe(before, builder)
    return cache.predict(first, recipe(after, builder, context, **options))


# What counts, and what it is called


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize(
    "before, after, rules",
    [
        ("RUN one\nRUN two", "RUN one\nRUN two", ["same", "same"]),
        ("RUN one\nRUN two", "RUN one\nRUN other", ["same", "text changed"]),
        ("RUN one\nRUN two", "RUN other\nRUN two", ["text changed", "a step above ran"]),
        (
            "RUN one\nRUN two",
            "RUN new\nRUN one\nRUN two",
            ["never made"] + ["a step above ran"] * 2,
        ),
        ("RUN one", "FROM other\nRUN one", ["base changed"]),
        ("# a\nRUN one", "# b\n\nRUN one", ["same"]),
        ("RUN one", "run one", ["same"]),
        ("RUN one", "RUN   one  ", ["same"]),
        ("RUN one \\\n # why\n two", "RUN one \\\n two", ["same"]),
    ],
)
def test_instructions(builder, before, after, rules):
    steps = foretell(before, after, builder).steps[1:]
    assert [v.reason.rule.value for v in steps] == rules


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize(
    "line, change, rule, names",
    [
        ("COPY a /x", {"a": "new"}, Rule.CONTENT, ("a",)),
        ("COPY a /x", {"a": ("1", 0o755)}, Rule.MODE, ("a",)),
        ("COPY a /x", {"b": "new"}, Rule.SAME, ()),
        ("COPY d /x", {"d/x": "new"}, Rule.CONTENT, ("d/x",)),
        ("COPY d /x", {"d/new": "5"}, Rule.ADDED, ("d/new",)),
        ("COPY d /x", {"d/x": None}, Rule.REMOVED, ("d/x",)),
        ("COPY d /x", {"d/x": None, "d/z": "3"}, Rule.RENAMED, ("d/x",)),
        ("COPY * /x/", {"a": "new"}, Rule.CONTENT, ("a",)),
        ("COPY a* /x/", {"b": "new"}, Rule.SAME, ()),
        ("COPY . /x/", {"d/y": "new"}, Rule.CONTENT, ("d/y",)),
        ("ADD a b /x/", {"b": "new"}, Rule.CONTENT, ("b",)),
    ],
)
def test_files(builder, line, change, rule, names):
    verdict = foretell(line, line, builder, files(**change)).steps[1]
    assert (verdict.reason.rule, verdict.reason.names) == (rule, names)
    assert verdict.state is (State.CACHED if rule is Rule.SAME else State.RAN)


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_file_that_is_not_there(builder):
    steps = foretell("RUN one\nCOPY a /x\nRUN two", "RUN one\nCOPY z /x\nRUN two", builder).steps
    assert [v.state for v in steps[1:]] == [State.CACHED, State.FAILED, State.NOT_REACHED]
    assert steps[2].reason == Reason(Rule.MISSING, ("z",))


def test_an_env_counts_for_a_run_and_not_for_a_copy_on_buildkit():
    lines = "ENV A={}\nCOPY a /x\nRUN one"
    steps = foretell(lines.format(1), lines.format(2)).steps
    assert [v.state.value for v in steps[2:]] == ["CACHED", "RAN"]
    assert steps[3].reason == Reason(Rule.ENV, ("A",))
    lines = "ENV A={}\nCOPY a /$A\nRUN one"
    assert foretell(lines.format(1), lines.format(2)).steps[2].reason == Reason(Rule.ENV, ("A",))


def test_an_env_counts_for_all_below_on_the_classic_builder():
    lines = "ENV A={}\nCOPY a /x\nRUN one"
    steps = foretell(lines.format(1), lines.format(2), "classic").steps
    assert [v.state.value for v in steps[1:]] == ["RAN"] * 3


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_argument_counts_from_its_arg_on_for_each_run(builder):
    lines = "RUN one\nARG A=1\nCOPY a /x\nRUN two"
    steps = foretell(lines, lines, builder, build_args={"A": "2"}).steps
    assert [v.state.value for v in steps[1:]] == ["CACHED", "CACHED", "CACHED", "RAN"]
    assert steps[4].reason == Reason(Rule.ARG, ("A",))
    assert set(foretell(lines, lines, builder, build_args={"Z": "2"}).states()) == {"CACHED"}


def test_what_is_set_above_a_run_is_named():
    steps = foretell("WORKDIR /a\nRUN one", "WORKDIR /b\nRUN one").steps
    assert steps[2].reason == Reason(Rule.SETTING, ("WORKDIR",))
    assert foretell("WORKDIR /a\nWORKDIR b", "WORKDIR /a\nWORKDIR /a/b").states()[2] == "CACHED"


@pytest.mark.parametrize("builder", BUILDERS)
def test_lines_that_change_places(builder):
    steps = foretell("RUN one\nRUN two", "RUN two\nRUN one", builder).steps
    assert steps[1].reason.rule is Rule.ORDER
    assert steps[2].reason.rule is Rule.ABOVE


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_cache_remembers_more_than_the_last_build(builder):
    one, two = recipe("RUN one", builder), recipe("RUN two", builder)
    memory = cache.Memory().after(one).after(two)
    verdict = memory.predict(one).steps[1]
    assert (verdict.state, verdict.reason) == (State.CACHED, Reason(Rule.EARLIER, build=1))


@pytest.mark.parametrize("builder", BUILDERS)
def test_steps_of_a_failed_build_are_remembered_up_to_the_failure(builder):
    broken = recipe("RUN one\nRUN bad\nRUN three", builder)
    ends = [State.CACHED, State.RAN, State.FAILED, State.NOT_REACHED]
    memory = cache.Memory().after(broken, dict(zip(broken.dockerfile.instructions, ends)))
    steps = memory.predict(broken).steps
    assert [v.state for v in steps[1:]] == [State.CACHED, State.RAN, State.RAN]
    assert steps[2].reason.rule is Rule.UNFINISHED


@pytest.mark.parametrize("builder", BUILDERS)
def test_bytes_that_a_run_will_write_are_not_predicted(builder):
    lines = "FROM base AS one\nRUN {}\nFROM base\nCOPY --from=one /x /x\nRUN three"
    steps = foretell(lines.format("one"), lines.format("two"), builder).steps
    assert [v.state for v in steps[3:]] == [None, None]
    assert steps[3].reason.rule is Rule.BYTES and steps[3].reason.cause.line == 2
    new = foretell(lines.format("one"), lines.format("two").replace("three", "new"), builder)
    assert new.steps[4].state is State.RAN, "never made, whatever the bytes"


def test_a_stage_that_nothing_needs():
    lines = "FROM base AS one\nRUN {}\nFROM base AS two\nRUN two\nFROM base AS last\nRUN three"
    steps = foretell(lines.format("one"), lines.format("x"), target="two").steps
    rules = [v.reason.rule for v in steps]
    assert rules[0] is rules[1] is Rule.UNNEEDED and rules[4] is rules[5] is Rule.STOPPED
    steps = foretell(lines.format("one"), lines.format("x"), "classic", target="two").steps
    assert steps[1].state is State.RAN and steps[5].reason.rule is Rule.STOPPED


# Each was once foreseen wrongly, and a real build said so.


def test_without_the_cache_a_workdir_stands_on_a_result_of_its_own():
    lines = "WORKDIR /a\nRUN one\nWORKDIR /b"
    memory = cache.Memory().after(recipe(lines))
    states = memory.predict(recipe(lines, no_cache=True)).states()
    assert states[1:] == ("CACHED", "RAN", "RAN")
    again = memory.after(recipe(lines, no_cache=True)).predict(recipe(lines))
    assert set(again.states()) == {"CACHED"}


def test_equal_steps_of_two_stages_run_once_without_the_cache_too():
    lines = "FROM base AS one\nRUN one\nFROM base\nRUN one\nCOPY --from=one /x /x"
    states = foretell(lines, lines, no_cache=True).states()
    assert states == ("CACHED", "RAN", "CACHED", "CACHED", "RAN")


def test_what_labkit_does_not_read_leaves_what_follows_open():
    lines = "ENV A=1\nENV E=${A#1}\nRUN one\nRUN two"
    for builder in BUILDERS:
        steps = foretell("ENV A=1\nRUN one\nRUN two", lines, builder).steps
        assert [v.state for v in steps[3:]] == [None, None]


def test_a_link_counts_as_a_copy_where_the_store_cannot_merge():
    lines = "RUN {}\nCOPY --link a /x"
    assert foretell(lines.format("one"), lines.format("two")).states()[2] == "RAN"
    first = recipe(lines.format("one"), merges=True)
    assert cache.predict(first, recipe(lines.format("two"), merges=True)).states()[2] == "CACHED"


def test_a_step_that_a_copy_broke_off_may_not_have_ended():
    lines = "FROM base AS one\nRUN one\nFROM base\nRUN two\nCOPY --from=one /none /y"
    made = recipe(lines)
    ends = [State.CACHED, State.RAN, State.CACHED, State.RAN, State.FAILED]
    memory = cache.Memory().after(made, dict(zip(made.dockerfile.instructions, ends)))
    assert memory.predict(made).states()[3] == "?"
    ends = [State.CACHED, State.CACHED, State.CACHED, State.CACHED, State.RAN]
    memory = memory.after(made, dict(zip(made.dockerfile.instructions, ends)))
    assert set(memory.predict(made).states()) == {"CACHED"}


def test_what_stands_on_a_link_that_is_not_predicted_is_not_either():
    lines = "FROM base AS one\nRUN {}\nFROM base\nCOPY --link --from=one /x /x\nWORKDIR /w"
    first = recipe(lines.format("one"), merges=True)
    states = cache.predict(first, recipe(lines.format("two"), merges=True)).states()
    assert states == ("CACHED", "RAN", "CACHED", "?", "?")


def test_a_copy_that_breaks_a_build_off_makes_guesses_of_what_is_called_cached():
    lines = "FROM base AS one\nRUN one\nFROM base\nCOPY a /x\nCOPY --from=one /none /y"
    made = recipe(lines)
    ends = [State.CACHED] * 4 + [State.FAILED]
    memory = cache.Memory().after(made, dict(zip(made.dockerfile.instructions, ends)))
    assert memory.predict(made).states()[3] == "RAN"


def test_a_run_with_a_secret_is_found_by_the_files_below_it():
    lines = "RUN {}\nRUN --mount=type=secret,id=none true\nRUN last"
    steps = foretell(lines.format("one"), lines.format("two")).steps
    assert [v.state for v in steps[1:]] == [State.RAN, None, None]
    assert steps[2].reason.rule is Rule.BYTES and steps[2].reason.cause.line == 2
    assert set(foretell(lines, lines).states()) == {"CACHED"}


@pytest.mark.parametrize(
    "before, after, states",
    [
        ("RUN --network=default one", "RUN one", "CACHED"),
        ("COPY --chmod=0644 a /x", "COPY --chmod=644 a /x", "CACHED"),
        (
            "RUN --mount=type=cache,target=/c,uid=0 one",
            "RUN --mount=type=cache,target=/c,mode=755 one",
            "CACHED",
        ),
        (
            "RUN --mount=type=secret,id=x one",
            "RUN --mount=type=secret,target=/run/secrets/x,mode=0400 one",
            "CACHED",
        ),
        ("RUN <<A\n#!/bin/sh\none\nA", "RUN <<B\n#!/bin/sh\none\nB", "RAN"),
        ("RUN <<A\none\nA", "RUN <<B\none\nB", "CACHED"),
        ("RUN <<A\none\nA", "RUN <<A\r\none\r\nA\r\n", "RAN"),
        ("FROM base\nRUN one", "FROM --platform=linux/amd64 base\nRUN one", "CACHED"),
        ("WORKDIR /a", "WORKDIR /a/", "CACHED"),
        ("WORKDIR /a\nRUN one", "WORKDIR /a/\nRUN one", "CACHED RAN"),
    ],
)
def test_ways_to_say_the_same_on_buildkit(before, after, states):
    assert " ".join(foretell(before, after).states()[1:]) == states


@pytest.mark.parametrize("builder", BUILDERS)
def test_an_arg_does_not_see_those_of_its_own_line(builder):
    lines = "ARG A=1 B=$A\nCOPY a /x$B\nRUN one"
    steps = foretell(lines, lines, builder, build_args={"A": "3"}).steps
    assert [v.state.value for v in steps[2:]] == ["CACHED", "RAN"]


def test_an_env_of_the_stage_below_goes_before_its_arg_on_buildkit():
    lines = "FROM base AS one\nENV A=1\nARG A=2\nFROM one\nRUN two"
    assert foretell(lines, lines, build_args={"A": "3"}).states()[4] == "CACHED"


def test_a_whole_stage_that_is_mounted_is_found_by_its_bytes():
    lines = "FROM base AS one\nRUN {}\nFROM base\nRUN --mount=from=one,target=/m two"
    assert foretell(lines.format("1"), lines.format("2")).states()[3] == "?"
    lines = "FROM base AS one\nRUN {}\nFROM one\nRUN --mount=from=one,source=/m,target=/m two"
    assert foretell(lines.format("1"), lines.format("2")).states()[3] == "?"


def test_the_mode_of_a_folder_is_left_open_on_buildkit():
    opened = dict(files().files) | {"d": File("folder", 0o700)}
    for line, state in (("COPY d /x", "?"), ("COPY a /x", "CACHED")):
        assert foretell(line, line, context=Files(opened)).states()[1] == state
        assert foretell(line, line, "classic", Files(opened)).states()[1] in ("RAN", "CACHED")


def test_a_pattern_goes_through_a_linked_folder_on_buildkit():
    linked = {"l": File("link", 0o777, target="d")}
    contexts = [
        Files(dict(sorted((dict(files(**c).files) | linked).items()))) for c in ({}, {"d/x": "new"})
    ]
    before, after = (recipe("COPY l/* /x/", context=c) for c in contexts)
    assert cache.predict(before, after).states()[1] == "RAN"


def test_proxies_on_the_classic_builder():
    args = {"build_args": {"http_proxy": "u"}}
    for lines, states in (
        ("COPY a /$http_proxy.x\nRUN one", ("RAN", "RAN")),
        ("ENV http_proxy=v\nRUN one", ("CACHED", "CACHED")),
        ("RUN one", ("RAN",)),
    ):
        assert foretell(lines, lines, "classic", **args).states()[1:] == states


def test_an_entrypoint_that_the_classic_builder_never_finds_again():
    for lines in ('ENTRYPOINT [""]\nRUN one', 'ENTRYPOINT ["e"]\nENTRYPOINT []\nRUN one'):
        assert foretell(lines, lines, "classic").states()[-1] == "?"
    lines = "HEALTHCHECK --interval=1m --retries=3 CMD x"
    other = "HEALTHCHECK --retries=03 --interval=60s CMD x"
    assert foretell(lines, other, "classic").states()[1] == "CACHED"


# The table of rules


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rule", Rule)
def test_each_rule_has_a_sentence(rule, language, monkeypatch):
    monkeypatch.setenv("LABKIT_LANG", language)
    cause = dockerfile.parse("FROM a\nRUN b").instructions[1]
    sentence = Reason(rule, ("a.txt",), cause, 3).sentence
    assert sentence.endswith(".") and "{" not in sentence


def test_each_rule_has_a_source_or_comes_after_the_fact():
    shown = {Rule.REMEMBERED, Rule.FORGOTTEN, Rule.BYTES_SAME, Rule.BYTES_OTHER}
    assert set(SOURCES["buildkit"]) | shown == set(Rule)
    assert set(SOURCES["classic"]) < set(SOURCES["buildkit"])


# Snapshots


@pytest.fixture
def folder(tmp_path):
    for name in ("a.txt", "b.log", "deep/c.log", "deep/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY . /all\n")
    return tmp_path


def snap(folder, snapshots=None, builder="buildkit"):
    return (snapshots or Snapshots()).take(builder, prepare(builder, folder, lambda _names: {}))


def test_a_second_snapshot_hashes_what_changed_alone(folder):
    snapshots = Snapshots()
    first = snap(folder, snapshots)
    assert snapshots.hashed == 5
    snap(folder, snapshots)
    assert snapshots.hashed == 5
    (folder / "a.txt").write_text("new")
    second = snap(folder, snapshots)
    assert snapshots.hashed == 6
    assert first.files["a.txt"] != second.files["a.txt"]
    os.utime(folder / "a.txt", (1, 1))
    assert snap(folder, snapshots).files["a.txt"] == second.files["a.txt"]


@pytest.mark.parametrize("builder", BUILDERS)
def test_what_dockerignore_leaves_out_is_told_apart(folder, builder):
    (folder / ".dockerignore").write_text("**/*.log\n!deep/c.log\nDockerfile\n")
    found = snap(folder, builder=builder)
    kept = {".dockerignore", "a.txt", "deep", "deep/c.log", "deep/d.txt"}
    assert set(found.files) == kept
    assert set(found.left_out) == {"b.log", "Dockerfile"}


IGNORED = (
    ["*.log"],
    ["**/*.log"],
    ["*"],
    ["**", "!a.txt"],
    ["deep", "!**/c.log"],
    ["deep/*", "!deep"],
    ["!deep", "deep"],
    ["deep/**"],
    [".*"],
    ["./deep//e/"],
    ["../a.txt"],
    ["/deep", "!deep/d.txt"],
    ["[ab].*", "deep/?.txt"],
    ["*/e"],
    ["#a.txt", " b.log "],
    ["\\*.log"],
    [".dockerignore"],
    ["Dockerfile"],
    ["Dockerfile", ".dockerignore"],
)


@with_docker_26
@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("lines", IGNORED, ids=" ".join)
def test_what_is_left_out_is_what_the_builder_leaves_out(lab, machine, folder, lines, builder):
    (folder / "deep" / "e").mkdir()
    (folder / "deep" / "e" / "f.txt").write_text("f")
    (folder / ".dockerignore").write_text("\n".join(lines) + "\n")
    (folder / "Dockerfile").write_text(f"FROM {machine.base}\nCOPY . /all\nRUN cd /all && find .\n")
    build = lab.build(folder, tag="ignored", builder=builder, no_cache=True)
    found = {line[2:] for line in build.steps[2].log.splitlines() if line.startswith("./")}
    assert found == set(snap(folder, builder=builder).files)


def test_links_are_followed_inside_the_context(folder):
    (folder / "link").symlink_to("deep/d.txt")
    (folder / "out").symlink_to("/nowhere")
    found = snap(folder)
    assert found.take("link").files.keys() == {"deep/d.txt"}
    assert found.take("out") is None
    assert found.take("link").key == found.take("deep/d.txt").key
