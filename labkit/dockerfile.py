"""Dockerfile text -> `Dockerfile`, a tuple of `Instruction`s (on BuildKit's own parser)."""

import difflib
import posixpath
import re
from dataclasses import dataclass, replace
from pathlib import Path

import dockerfile as parser

from labkit.errors import DockerfileError
from labkit.expand import loose
from labkit.words import _

KEYWORDS = (
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN"
    " SHELL STOPSIGNAL USER VOLUME WORKDIR"
).split()
_FILES = {"RUN", "COPY", "ADD", "WORKDIR"}
_FROM_FLAG = re.compile(r"\bfrom=([^\s,]+)")
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)\s*$", re.I)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile; it threads through Step and Layer.

    `stage` counts from 0 and is None for an ARG above the first FROM; `index` counts from 0
    over the whole file; `line` and `end_line` count from 1. `text` is the instruction on one
    line with single spaces, `raw` with those that were written. `json` is true for the exec form
    (`["flask", "run"]`); `heredocs` are the (name, text) of what follows (`<<EOF`).
    """

    stage: int | None
    index: int
    line: int
    end_line: int
    keyword: str
    text: str
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    json: bool = False
    heredocs: tuple[tuple[str, str], ...] = ()
    raw: str = ""

    def words(self) -> list[str]:
        """The text as BuildKit names its step: the keyword in capitals, single spaces."""
        return [self.keyword, *self.text.split()[1:]]

    @property
    def changes_files(self) -> bool:
        """Whether it can change files: RUN, COPY, ADD, WORKDIR. The others write metadata."""
        return self.keyword in _FILES

    @property
    def is_metadata(self) -> bool:
        """Whether it only writes metadata (ENV, ENTRYPOINT, ...): no file, so no layer."""
        return not self.changes_files and self.keyword != "FROM"


@dataclass(frozen=True)
class Dockerfile:
    """The text of a Dockerfile and its instructions, in the order of the file."""

    text: str
    instructions: tuple[Instruction, ...]

    @property
    def escape(self) -> str:
        """The sign that escapes: a backslash, unless `# escape=` says otherwise."""
        for line in self.text.lstrip("\ufeff").splitlines():
            if found := _ESCAPE.match(line.strip()):
                return found[1]
            if not _DIRECTIVE.match(line.strip()):
                break
        return "\\"

    def stage(self, number: int) -> tuple[Instruction, ...]:
        """The instructions of one stage, its FROM first."""
        return tuple(i for i in self.instructions if i.stage == number)

    @property
    def stages(self) -> tuple[str, ...]:
        """The name of every stage: what stands after AS, else "stage-N" as BuildKit says."""
        froms = [i for i in self.instructions if i.keyword == "FROM"]
        return tuple(_stage_name(i) or f"stage-{n}" for n, i in enumerate(froms))

    def named(self, name: str) -> int | None:
        """The stage of this name, the last where two share it, or of this number; None for none."""
        places = [n for n, known in enumerate(self.stages) if known.lower() == name.lower()]
        if places:
            return places[-1]
        return int(name) if name.isdigit() and int(name) < len(self.stages) else None

    def final_stage(self, target: str | None = None) -> int:
        """The number of the stage that is built: `target`, else the last.

        Raises DockerfileError where there is no such stage.
        """
        names = [name.lower() for name in self.stages]
        if not target:
            return len(names) - 1
        if target.lower() in names:
            return _last(names, target.lower())
        raise DockerfileError(
            _("There is no stage “{target}” in the Dockerfile.").format(target=target),
            _("The stages are: {names}.").format(names=", ".join(self.stages)),
            _("Give one of these names as target=, or leave it out for the last stage."),
        )

    def base(self, number: int, build_args: dict | None = None) -> str:
        """What stage `number` is FROM, with the ARGs above the first FROM put in."""
        values = {}
        for instruction in self.instructions:
            if instruction.stage is None and instruction.keyword == "ARG":
                values |= _arguments(instruction)
        values |= {k: v for k, v in (build_args or {}).items() if k in values}
        return loose(self.stage(number)[0].arguments[0].strip("\"'"), values)

    def images(self, build_args: dict | None = None) -> tuple[str, ...]:
        """The images that the stages are FROM, each once; scratch is none."""
        stages = range(len(self.stages))
        bases = [self.base(n, build_args) for n in stages if self.base_stage(n, build_args) is None]
        return tuple(dict.fromkeys(name for name in bases if name != "scratch"))

    def base_stage(self, number: int, build_args: dict | None = None) -> int | None:
        """The earlier stage that stage `number` is FROM; None where it is an image."""
        name = self.base(number, build_args).lower()
        names = [n.lower() for n in self.stages[:number]]
        return _last(names, name)

    def chain(self, number: int, build_args: dict | None = None) -> tuple[Instruction, ...]:
        """The instructions that make a stage, those of the stages it is FROM included."""
        parent = self.base_stage(number, build_args)
        before = () if parent is None else self.chain(parent, build_args)
        return (*before, *self.stage(number))

    def triggers(self, number: int | None) -> tuple[str, ...]:
        """What ONBUILD of a stage sets off in a stage FROM it, where that changes files."""
        texts = [i.raw.split(None, 1)[1] for i in self.stage(number) if i.keyword == "ONBUILD"]
        return tuple(text for text in texts if text.split()[0].upper() in _FILES)

    def needed(self, final: int, build_args: dict | None = None) -> set[int]:
        """The stages that stage `final` is made of: itself, its bases, what it copies from."""
        found, queue = set(), [final]
        while queue:
            number = queue.pop()
            if number is not None and number not in found:
                found.add(number)
                queue += [self.base_stage(number, build_args), *self._copied_from(number)]
        return found

    def _copied_from(self, number):
        names = {name.lower(): n for n, name in enumerate(self.stages[:number])}
        names |= {str(n): n for n in range(number)}
        for instruction in self.stage(number):
            for name in _FROM_FLAG.findall(" ".join(instruction.flags)):
                if name.lower() in names:
                    yield names[name.lower()]

    def workdirs_at_root(self, build_args: dict | None = None) -> set[Instruction]:
        """The WORKDIRs that lead to /: BuildKit has no step for them.

        A relative one is taken from /, since the WORKDIR of a base image is not known here.
        """
        found, ends = set(), []
        for number in range(len(self.stages)):
            parent = self.base_stage(number, build_args)
            place, values = ("/", {}) if parent is None else ends[parent]
            values = dict(values)
            for instruction in self.stage(number):
                if instruction.keyword in ("ARG", "ENV"):
                    values |= _values(instruction, values, build_args or {})
                elif instruction.keyword == "WORKDIR":
                    path = loose(" ".join(instruction.arguments).strip("\"'"), values)
                    place = posixpath.normpath("/" + posixpath.join(place, path).lstrip("/"))
                    found |= {instruction} if place == "/" else set()
            ends.append((place, values))
        return found


def parse(text: str) -> Dockerfile:
    """The Dockerfile that the text holds.

    Raises DockerfileError for an empty text, an unknown instruction, an instruction without
    arguments, and a text that does not begin with FROM.

    >>> [i.keyword for i in parse("from ubuntu:24.04\\n# why\\nRUN true").instructions]
    ['FROM', 'RUN']
    """
    if not text.strip():
        raise DockerfileError(_("The Dockerfile is empty."), next_step=_FIRST())
    try:
        commands = parser.parse_string(text.replace("\r\n", "\n"))
    except parser.GoParseError as error:
        raise DockerfileError(
            _("The Dockerfile cannot be read: {error}.").format(error=error), next_step=_FIRST()
        ) from error
    stage, instructions = None, []
    for index, command in enumerate(commands):
        if command.cmd.upper() == "FROM":
            stage = 0 if stage is None else stage + 1
        _check(command, stage)
        instructions.append(_instruction(command, stage, index))
    if stage is None:
        raise DockerfileError(_("The Dockerfile has no FROM."), next_step=_FIRST())
    found = Dockerfile(text, tuple(instructions))
    return _with_returns(found) if "\r\n" in text else found


def load(path: Path) -> Dockerfile:
    """The Dockerfile in a file."""
    try:
        return parse(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DockerfileError(
            _("The Dockerfile cannot be read: {error}.").format(error=error),
            str(path),
            _("Save it as text in UTF-8, readable by you."),
        ) from error


def _with_returns(found):
    """Texts of heredocs keep the line ends of the file; elsewhere they do not matter."""
    return replace(
        found,
        instructions=tuple(
            replace(i, heredocs=tuple((n, t.replace("\n", "\r\n")) for n, t in i.heredocs))
            for i in found.instructions
        ),
    )


def _last(names, name):
    """The last place of a name, as the builders take it where two stages share one."""
    return max((n for n, known in enumerate(names) if known == name), default=None)


def _FIRST():
    return _("Begin with FROM and a base image, for example: FROM ubuntu:24.04")


def _check(command, stage):
    keyword, line = command.cmd.upper(), command.start_line
    if keyword not in KEYWORDS:
        close = difflib.get_close_matches(keyword, KEYWORDS, 1, 0.5)
        hint = _("Did you mean {name}?").format(name=close[0]) if close else ""
        raise DockerfileError(
            _("Line {line}: Docker knows no instruction {name}.").format(line=line, name=keyword),
            _("It knows: {names}.").format(names=", ".join(KEYWORDS)),
            hint or _("Write one of these, or put # before a comment."),
        )
    if not (command.value and command.value[0]) and not command.heredocs and not command.json:
        raise DockerfileError(
            _("Line {line}: {name} has no arguments.").format(line=line, name=keyword),
            next_step=_("Write the arguments after {name}, on the same line.").format(name=keyword),
        )
    if stage is None and keyword != "ARG":
        raise DockerfileError(
            _("Line {line}: {name} stands before FROM.").format(line=line, name=keyword),
            next_step=_FIRST(),
        )


def _instruction(command, stage, index):
    text = " ".join(command.original.split("\n", 1)[0].split())
    return Instruction(
        stage=stage,
        index=index,
        line=command.start_line,
        end_line=command.end_line,
        keyword=command.cmd.upper(),
        text=text,
        flags=command.flags,
        arguments=command.value,
        json=command.json,
        heredocs=tuple((doc.name, doc.content) for doc in command.heredocs),
        raw=command.original,
    )


def _stage_name(instruction):
    words = instruction.arguments
    return words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else None


def _values(instruction, before, build_args):
    """What an ENV or ARG sets, with the variables put in."""
    if instruction.keyword == "ENV":
        words = instruction.arguments
        pairs = zip(words[::2], words[1::2])
        return {name: loose(value.strip("\"'"), before) for name, value in pairs}
    pairs = {name: loose(value, before) for name, value in _arguments(instruction).items()}
    return pairs | {name: str(build_args[name]) for name in pairs if name in build_args}


def _arguments(instruction):
    pairs = (word.partition("=") for word in instruction.arguments)
    return {name: value.strip("\"'") for name, _, value in pairs}
