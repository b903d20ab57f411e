"""The edits of an experiment: what is changed in a recipe before it is built again.

    edits.change_line(3, "RUN apt-get update")      edits.change_file("app.py")
    edits.swap(3, 4)                                edits.touch("app.py")
    edits.break_step(4), edits.repair()             edits.build_arg("VERSION", "2")

An `Edit` changes a `Bench`, the copy of the recipe that an experiment works on; the learner's own
files stay as they are. Each edit goes on from the one before it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labkit import dockerfile as dockerfiles
from labkit.errors import InputError
from labkit.words import _


@dataclass
class Bench:
    """A recipe under change: the folder with its Dockerfile, and what the builder is told."""

    folder: Path
    dockerfile: Path
    build_args: dict = field(default_factory=dict)
    no_cache: bool = False
    sound: str | None = None

    @property
    def text(self) -> str:
        """What the Dockerfile says."""
        return self.dockerfile.read_bytes().decode("utf-8-sig")

    def write(self, text: str) -> None:
        """Put another text into the Dockerfile."""
        self.dockerfile.write_bytes(text.encode("utf-8"))


@dataclass(frozen=True)
class Edit:
    """One change; `title` says it in a few words, `apply` makes it.

    `apply(bench)` raises InputError where there is nothing to change.
    """

    title: str
    apply: Callable[[Bench], None] = field(compare=False, repr=False)

    def __str__(self):
        return self.title


def change_line(line: int | str, text: str) -> Edit:
    """Put `text` in the place of an instruction: by its line, from 1, or by a piece of it."""

    def apply(bench):
        found = _instruction(bench, line)
        lines = bench.text.split("\n")
        end = "\r" if lines[found.end_line - 1].endswith("\r") else ""
        lines[found.line - 1 : found.end_line] = [text + end]
        bench.write("\n".join(lines))

    return Edit(_("line {line}: {text}").format(line=line, text=text), apply)


def swap(line: int | str, other: int | str) -> Edit:
    """Let two instructions change places."""

    def apply(bench):
        first, second = sorted(
            [_instruction(bench, line), _instruction(bench, other)], key=lambda i: i.line
        )
        lines = bench.text.split("\n")
        above, below = (lines[i.line - 1 : i.end_line] for i in (first, second))
        lines[second.line - 1 : second.end_line] = above
        lines[first.line - 1 : first.end_line] = below
        bench.write("\n".join(lines))

    return Edit(_("lines {line} and {other} swapped").format(line=line, other=other), apply)


def break_step(line: int | str) -> Edit:
    """Let a RUN fail; `repair` puts it right again."""

    def apply(bench):
        found = _instruction(bench, line)
        last = bench.text.split("\n")[found.end_line - 1]
        plain = found.keyword == "RUN" and not (found.json or found.heredocs)
        if not plain or " #" in last or "exit" in last:
            raise InputError(
                _("Line {line} cannot be broken: {text}").format(line=found.line, text=found.text),
                _("break_step adds “&& false” to a command that a shell runs."),
                _("Name the line of a RUN, or break it yourself with change_line."),
            )
        bench.sound = bench.sound or bench.text
        lines = bench.text.split("\n")
        lines[found.end_line - 1] = last.rstrip("\r") + " && false" + "\r" * last.endswith("\r")
        bench.write("\n".join(lines))

    return Edit(_("line {line} broken").format(line=line), apply)


def repair() -> Edit:
    """Put the Dockerfile back as it was before `break_step`."""

    def apply(bench):
        if bench.sound is None:
            raise InputError(
                _("There is nothing to repair."),
                _("No break_step stands before repair()."),
                _("Put edits.break_step(line) before it."),
            )
        bench.write(bench.sound)
        bench.sound = None

    return Edit(_("repaired"), apply)


def change_file(path: str, text: str | None = None) -> Edit:
    """Give a file another text; without `text` one more blank line at its end."""

    def apply(bench):
        file = _file(bench, path)
        new = file.read_bytes() + b"\n" if text is None else text.encode()
        file.write_bytes(new)

    return Edit(_("{path} changed").format(path=path), apply)


def touch(path: str) -> Edit:
    """Give a file a new time, and nothing else."""
    return Edit(_("{path} touched").format(path=path), lambda bench: os.utime(_file(bench, path)))


def change_mode(path: str, mode: int) -> Edit:
    """Give a file other permissions, such as 0o755."""
    title = _("{path}: mode {mode}").format(path=path, mode=f"{mode:o}")
    return Edit(title, lambda bench: _file(bench, path).chmod(mode))


def add_file(path: str, text: str = "") -> Edit:
    """Put a new file into the build context."""

    def apply(bench):
        file = _inside(bench, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return Edit(_("{path} added").format(path=path), apply)


def remove_file(path: str) -> Edit:
    """Take a file out of the build context."""
    return Edit(_("{path} removed").format(path=path), lambda bench: _file(bench, path).unlink())


def rename_file(path: str, new: str) -> Edit:
    """Give a file another name."""

    def apply(bench):
        file, target = _file(bench, path), _inside(bench, new)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)

    return Edit(_("{path} renamed to {new}").format(path=path, new=new), apply)


def build_arg(name: str, value) -> Edit:
    """Give a build argument another value; None takes it away."""

    def apply(bench):
        bench.build_args.pop(name, None)
        if value is not None:
            bench.build_args[name] = str(value)

    return Edit(_("build argument {name}={value}").format(name=name, value=value), apply)


def no_cache() -> Edit:
    """Build this once without the cache; nothing else changes."""

    def apply(bench):
        bench.no_cache = True

    return Edit(_("without the cache"), apply)


def again() -> Edit:
    """Build once more, with nothing changed."""
    return Edit(_("nothing changed"), lambda bench: None)


def _instruction(bench, line):
    """The instruction that stands on a line, or holds a piece of text."""
    instructions = dockerfiles.parse(bench.text).instructions
    if isinstance(line, int):
        found = [i for i in instructions if i.line <= line <= i.end_line]
    else:
        found = [i for i in instructions if line in i.raw]
    if len(found) == 1:
        return found[0]
    lines = "\n".join(f"{i.line}: {i.text}" for i in instructions)
    raise InputError(
        _("No instruction stands on line {line}.").format(line=line)
        if isinstance(line, int)
        else _("“{text}” stands in {count} instructions, not in one.").format(
            text=line, count=len(found)
        ),
        _("The instructions are:") + "\n" + lines,
        _("Give the number of a line, or a piece of text that one instruction alone has."),
    )


def _file(bench, path):
    file = _inside(bench, path)
    if file.is_file():
        return file
    names = sorted(str(p.relative_to(bench.folder)) for p in bench.folder.rglob("*") if p.is_file())
    raise InputError(
        _("There is no file {path} in the recipe.").format(path=path),
        _("There are: {names}.").format(names=", ".join(names[:10])),
        _("Give the path of a file, seen from the folder of the recipe."),
    )


def _inside(bench, path):
    file = bench.folder / path
    if not file.resolve().is_relative_to(bench.folder.resolve()):  # A link may lead out of it.
        raise InputError(
            _("{path} is outside the recipe.").format(path=path),
            _("An experiment changes its own copy of the folder alone."),
            _("Give the path of a file, seen from the folder of the recipe."),
        )
    return file
