"""What a builder is going to do, one `Operation` after the other, with all that it counts.

The rule sets (`buildkit_rules.py`, `classic_rules.py`) make operations of a Recipe. What the two
share is here: the state in which a stage leaves the next instruction, ONBUILD triggers, paths.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from labkit import dockerfile as dockerfiles
from labkit import expand
from labkit.dockerfile import Dockerfile, Instruction
from labkit.errors import DockerfileError
from labkit.files import File
from labkit.reasons import Reason, Rule
from labkit.recipes import Base, Recipe

SHELL = ("/bin/sh", "-c")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNKNOWN = "\0"
"""The value of a variable that labkit cannot work out."""
PROXIES = {
    name
    for word in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (word, word.lower())
}
"""Build arguments that need no ARG and are no part of a cache key."""


@dataclass(frozen=True)
class Input:
    """Where an operation takes files from, besides what it stands on.

    `key` names the files; None where they are the result of `operation` (then `path` says which
    of them), or are not known at all. `files` are there to say what changed.
    """

    key: str | None = None
    operation: int | None = None
    path: str = ""
    files: Mapping[str, File] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One thing the builder does: a step, a trigger of the base, the second half of COPY --link.

    `facts` is what counts of the operation itself, by name; `below` the number of the operation
    on whose result it stands, None where that is nothing. `variables` are those that it sees, with
    the keyword that set them in `origins`. `hidden` ones are no step of the
    Dockerfile. `unclear` says why its key is not known, `missing` that it will fail. `by_content`
    is for one that is found by the files below it, whatever made them.
    """

    instruction: Instruction
    facts: Mapping[str, object]
    below: int | None
    inputs: tuple[Input, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    hidden: bool = False
    unclear: Reason | None = None
    missing: Reason | None = None
    skips_cache: bool = False
    by_content: bool = False


@dataclass
class Scene:
    """How things stand in a stage after some of its instructions.

    `env` is in the order in which the builder keeps it; `origins` says of each variable whether
    ENV or ARG set it. `head` is the number of the operation that the next one stands on. `doubt` is an
    instruction that sets a variable to what labkit does not know; `kept_env` what the image keeps.
    """

    env: dict = field(default_factory=dict)
    origins: dict = field(default_factory=dict)
    args: dict = field(default_factory=dict)
    folder: str = "/"
    user: str = ""
    shell: tuple = ()
    triggers: tuple = ()
    head: int | None = None
    config: dict = field(default_factory=dict)
    doubt: str = ""
    kept_env: dict = field(default_factory=dict)

    def copy(self) -> "Scene":
        """The same, to go on from in another stage."""
        return replace(
            self,
            env=dict(self.env),
            origins=dict(self.origins),
            args={},
            config=dict(self.config),
            kept_env=dict(self.kept_env),
        )


def scene_on(base: Base, **more) -> Scene:
    """How things stand right on a base image; each rule set keeps its variables in its own way."""
    return Scene(
        origins={name: "base" for name, _value in base.env},
        folder=base.folder or "/",
        user=base.user,
        shell=base.shell,
        triggers=base.triggers,
        **more,
    )


def outer_args(recipe: Recipe, platform: str) -> dict:
    """The values of the ARGs above the first FROM, and of those that the builder sets itself.

    Source: getPlatformArgs and the metaArgs loop of dockerfile2llb/convert.go.
    """
    system, machine, *_variant = [*platform.split("/"), ""]
    values = {}
    for side in ("BUILD", "TARGET") if platform else ():  # The classic builder has none.
        own = {"PLATFORM": platform, "OS": system, "ARCH": machine, "VARIANT": ""}
        values |= {side + name: value for name, value in own.items()}
    values |= {k: v for k, v in recipe.build_args.items() if k in values}
    for instruction in recipe.dockerfile.instructions:
        if instruction.stage is None and instruction.keyword == "ARG":
            for name, value in arg_pairs(instruction):
                if name in recipe.build_args:
                    values[name] = recipe.build_args[name]
                elif value is not None:
                    values[name] = _value(value, values, recipe.dockerfile.escape)
    return values


def _value(text, values, escape):
    try:
        return expand.word(text, values, escape)
    except expand.Unclear:
        return UNKNOWN


def arg_pairs(instruction: Instruction):
    """(name, default or None) of each ARG, as written."""
    for word in instruction.arguments:
        name, sign, value = word.partition("=")
        yield name, (value if sign else None)


def pairs(instruction: Instruction):
    """(name, value) of an ENV or LABEL, as written."""
    words = instruction.arguments
    return list(zip(words[::2], words[1::2]))


def trigger(text: str, start: Instruction) -> Instruction:
    """The instruction that an ONBUILD keeps, in the place of the FROM that sets it off.

    Raises Unclear for one that cannot be read by itself.
    """
    try:
        parsed: Dockerfile = dockerfiles.parse(f"FROM scratch\n{text}")
    except DockerfileError as error:  # A heredoc, whose text ONBUILD does not keep with it here.
        raise expand.Unclear(text) from error
    return replace(
        parsed.instructions[1],
        stage=start.stage,
        index=start.index,
        line=start.line,
        end_line=start.end_line,
    )


def flag(instruction: Instruction, name: str) -> str | None:
    """The value of --name=value, "true" for a bare --name, None where it is not there."""
    for word in instruction.flags:
        key, sign, value = word.removeprefix("--").partition("=")
        if key == name:
            return value if sign else "true"
    return None


def absolute(folder: str, path: str) -> str:
    """A path in the image, seen from the working folder.

    >>> absolute("/app", "../x/"), absolute("/app", "/")
    ('/x', '/')
    """
    return posixpath.normpath("/" + posixpath.join(folder, path).lstrip("/"))


def base_of(recipe: Recipe, name: str) -> Base | None:
    """The facts of an image, by its name with or without the tag."""
    return recipe.bases.get(name) or recipe.bases.get(name.removesuffix(":latest"))


def octal(mode: str | None) -> str | None:
    """A mode without leading zeros; what is no number stays as it is."""
    return f"{int(mode, 8):o}" if mode and mode.isdigit() and not set("89") & set(mode) else mode


def unread(what: str) -> Reason:
    """Why a step is not predicted: it holds what labkit reads differently, or not at all."""
    return Reason(Rule.UNREAD, (what,))
