"""Random recipes and edits for the cache's oracle test: a `World`, and the worlds it turns into.

Commands are cheap and always succeed; files are tiny. What only BuildKit knows is kept out of the
classic builder's worlds.
"""

import random
import re
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

WORDS = ("one", "two", "three", "four")
NAMED = ("a.txt", "b.txt", "d/a.txt")
NAMES = ("a.txt", "b.txt", "c.log", "d/a.txt", "d/e/b.txt", "d/x.log", "s/run.sh")

COMMON = (
    "RUN echo {w}",
    "RUN echo {w} > /tmp/{v}",
    "RUN echo $A ${{B:-none}} {w}",
    "RUN true",
    'RUN ["/bin/sh", "-c", "echo {w}"]',
    "RUN echo {w} \\\n  # a comment\n  && echo {v}",
    "COPY {file} /x",
    "COPY ./{file} /x/{v}",
    "COPY {file} .",
    "COPY {file} a.txt /dir/",
    "COPY d /dir/{w}/",
    "COPY d /dir",
    "COPY d/ .",
    "COPY . /all",
    "COPY *.txt /txt/",
    "COPY d/* /deep/",
    "COPY --chown=1:{n} {file} /own",
    "COPY --chown=nobody {file} /own",
    "COPY link /linked",
    "COPY $A.txt* /by-name/",
    'COPY ["{file}", "/json"]',
    "ADD {file} /added/",
    "ADD t.tar /unpacked/",
    "ENV A={w}",
    "ENV A={w}",
    'ENV B="{w} {v}" C=$A',
    "ENV D {w} {v}",
    "ARG A",
    "ARG A",
    "ARG A={w}",
    "ARG V={w}",
    "ARG HTTP_PROXY",
    "ARG UNUSED={w}",
    "WORKDIR /work/{w}",
    "WORKDIR {w}",
    "WORKDIR /work/$A",
    "WORKDIR /work/$A",
    "COPY {file} /named/$A",
    "USER {n}",
    "USER root",
    'SHELL ["/bin/sh", "-e", "-c"]',
    "LABEL l={w} m={v}",
    'CMD ["{w}"]',
    "CMD echo {w}",
    'ENTRYPOINT ["{w}"]',
    "EXPOSE 80{n}",
    "VOLUME /v{n}",
    "STOPSIGNAL {n}",
    "HEALTHCHECK --interval=1m{n}s CMD echo {w}",
    "HEALTHCHECK NONE",
    "MAINTAINER {w}",
    "ONBUILD RUN echo {w}",
    "ONBUILD COPY {file} /on",
)
BUILDKIT = (
    "COPY --chmod=7{n}5 {file} /mode",
    "COPY --link {file} /link/{w}",
    "COPY --link d /link",
    "COPY <<EOF /doc\ntext {w} $A\nEOF",
    'COPY <<-"E" <<F /docs/\n\ttext {w}\nE\n$A\nF',
    "RUN <<EOF\necho {w}\nEOF",
    "RUN cat <<EOF > /tmp/h\n{w}\nEOF",
    "RUN <<-EOF\n\t#!/bin/sh\n\techo {w}\nEOF",
    "RUN --mount=type=bind,source={file},target=/m cat /m",
    "RUN --mount=type=bind,target=/m,rw ls /m",
    "RUN --mount=type=cache,target=/c{opt} echo {w}",
    "RUN --mount=type=tmpfs,target=/t echo {w}",
    "RUN --mount=type=secret,id=none echo {w}",
    "RUN --network=none echo {w}",
    "ADD --chmod=644 {file} /added/",
)
STAGED = ("COPY --from={stage} /made /made", "COPY --from={stage} /etc/passwd /p{n}")
STAGED_BUILDKIT = (
    "COPY --link --from={stage} /made /linked",
    "RUN --mount=type=bind,from={stage},source=/made,target=/m cat /m",
)
BROKEN = (
    "RUN echo {w} && false",
    "RUN echo {w} && false",
    "COPY nothing-here /none",
    "COPY nothing-here /none",
    "ADD http://127.0.0.1:9/x /none",
    "ADD http://127.0.0.1:9/x /none",
)
CACHE_OPTIONS = ("", ",id=x", ",id=y", ",sharing=locked")
PATTERNS = (
    "*.log",
    "**/*.log",
    "d/e",
    "!d/x.log",
    "Dockerfile",
    "# c",
    "s",
    "d/*.log",
    ".dockerignore",
)


@dataclass(frozen=True)
class World:
    """One state of a recipe. `files` is path -> (text or link target, mode, kind)."""

    stages: tuple[tuple[str, ...], ...]
    files: dict
    ignore: tuple[str, ...] = ()
    build_args: dict = field(default_factory=dict)
    target: str | None = None
    no_cache: bool = False
    touched: tuple[str, ...] = ()
    base: int = 0
    folder_mode: int = 0o755
    what: str = "start"

    def text(self, bases) -> str:
        """The Dockerfile, FROM one of these bases."""
        lines = [line for stage in self.stages for line in stage]
        return "\n".join(lines).replace("{base}", bases[self.base]) + "\n"


class Maker:
    """Draws worlds; `random` is hypothesis's: a seed brings the same worlds back."""

    def __init__(self, source: random.Random, builder: str):
        self.random, self.buildkit = source, builder == "buildkit"

    def world(self) -> World:
        count = self.random.choice((1, 1, 2, 2, 3))
        total = self.random.randint(5, 12)
        stages = [self._stage(n, max(1, total // count)) for n in range(count)]
        files = {name: (self._word(), 0o644, "file") for name in NAMES}
        files |= {"link": ("a.txt", 0o777, "link"), "t.tar": (self._word(), 0o644, "tar")}
        ignore = tuple(self.random.sample(PATTERNS, self.random.choice((0, 0, 1, 2))))
        return World(tuple(stages), files, ignore, build_args=self._args())

    def _args(self):
        names = self.random.sample(
            ("A", "V", "HTTP_PROXY", "NOWHERE"), self.random.choice((0, 1, 2))
        )
        return {name: self._word() for name in names}

    def _word(self):
        return self.random.choice(WORDS)

    def _stage(self, number, count):
        parents = ["{base}", "{base}", *(f"s{n}" for n in range(number))]
        parent = self.random.choice(parents)
        if number == 0 and count < 6 and self.random.random() < 0.2:
            return ("FROM scratch AS s0", f"COPY {self.random.choice(NAMED)} /made")
        first = f"FROM {parent} AS s{number}"
        made = f"RUN echo {self._word()} > /made" if parent == "{base}" else f"RUN echo {number}"
        lines = [self.line(number) for _n in range(count)]
        uses = [f"COPY --from=s{n} /made /made{n}" for n in range(number)]
        return (
            first,
            made,
            *lines,
            *self.random.sample(uses, min(len(uses), self.random.choice((1, 1, 2)))),
        )

    def line(self, stage: int) -> str:
        """One instruction of a stage."""
        pool = list(COMMON) + (list(BUILDKIT) if self.buildkit else [])
        if stage:
            pool += STAGED * 4 + (STAGED_BUILDKIT * 3 if self.buildkit else ())
        kind = self.random.choice(
            sorted({line.split()[0] for line in pool})
            + ["RUN", "RUN", "COPY", "COPY", "ARG", "ARG", "ENV"]
        )
        template = self.random.choice([line for line in pool if line.split()[0] == kind])
        return template.format(
            w=self._word(),
            v=self._word(),
            n=self.random.choice("123"),
            file=self.random.choice(NAMES if self.random.random() < 0.15 else NAMED),
            stage=f"s{self.random.randrange(stage)}" if stage else "",
            opt=self.random.choice(CACHE_OPTIONS),
        )

    def edit(self, worlds: list[World]) -> World:
        """The newest world, changed in one way; or one that was there before."""
        world = replace(worlds[-1], no_cache=False, touched=())
        broken = world.what in ("break_step", "odd") and self.random.random() < 0.8
        name = "back" if broken else self.random.choice(EDITS)
        return replace(getattr(self, name)(world, worlds), what=name)

    def _place(self, world, first=1):
        stage = self.random.randrange(len(world.stages))
        return stage, self.random.randrange(first, len(world.stages[stage]))

    def _with_stage(self, world, stage, lines):
        return replace(
            world, stages=(*world.stages[:stage], tuple(lines), *world.stages[stage + 1 :])
        )

    def change_line(self, world, _worlds):
        stage, line = self._place(world)
        lines = list(world.stages[stage])
        if not lines[line].endswith("/made"):  # Other stages copy it.
            lines[line] = self.line(stage)
        return self._with_stage(world, stage, lines)

    def change_word(self, world, _worlds, place=None):
        stage, line = place or self._place(world)
        lines = list(world.stages[stage])
        found = re.findall("|".join(WORDS), lines[line])
        if found:
            new = self.random.choice([w for w in WORDS if w != found[0]])
            lines[line] = lines[line].replace(found[0], new, 1)
        return self._with_stage(world, stage, lines)

    def change_variable(self, world, worlds):
        """An ENV or ARG gets another value, where there is one."""
        lines = [(s, n) for s, x in enumerate(world.stages) for n in range(1, len(x))]
        found = [(s, n) for s, n in lines if world.stages[s][n].startswith(("ENV", "ARG"))]
        if not found:
            return self.change_word(world, worlds)
        return self.change_word(world, worlds, self.random.choice(found))

    def insert_line(self, world, _worlds):
        stage, line = self._place(world)
        lines = list(world.stages[stage])
        lines.insert(line, self.line(stage))
        return self._with_stage(world, stage, lines)

    def delete_line(self, world, _worlds):
        stage, line = self._place(world)
        lines = list(world.stages[stage])
        if len(lines) > 2 and not lines[line].endswith("/made"):
            del lines[line]
        return self._with_stage(world, stage, lines)

    def swap_lines(self, world, _worlds):
        stage, line = self._place(world)
        lines = list(world.stages[stage])
        if line + 1 < len(lines):
            lines[line], lines[line + 1] = lines[line + 1], lines[line]
        return self._with_stage(world, stage, lines)

    def comment(self, world, _worlds):
        stage, line = self._place(world)
        lines = list(world.stages[stage])
        if not self.random.randrange(3):
            word, _space, rest = lines[line].partition(" ")
            lines[line] = f"{word.lower()} {rest}"
        else:
            lines.insert(line, self.random.choice(("# why", "", "# how\n")))
        return self._with_stage(world, stage, lines)

    def change_file(self, world, _worlds):
        name = self.random.choice(sorted(world.files))
        _text, mode, kind = world.files[name]
        text = self.random.choice(NAMES) if kind == "link" else self._word()
        return replace(world, files=world.files | {name: (text, mode, kind)})

    def change_mode(self, world, _worlds):
        name = self.random.choice([n for n, f in world.files.items() if f[2] != "link"])
        text, mode, kind = world.files[name]
        return replace(world, files=world.files | {name: (text, mode ^ 0o111, kind)})

    def change_folder_mode(self, world, _worlds):
        mode = 0o750 if world.folder_mode == 0o755 else 0o755
        return replace(world, folder_mode=mode)

    def add_file(self, world, _worlds):
        name = self.random.choice(("new.txt", "d/new", "d/e/new.log", "n/new.txt"))
        return replace(world, files=world.files | {name: (self._word(), 0o644, "file")})

    def remove_file(self, world, _worlds):
        extra = sorted(set(world.files) - set(NAMES) - {"link", "t.tar"})
        if not extra:
            return self.rename_file(world, _worlds)
        name = self.random.choice(extra)
        return replace(world, files={n: f for n, f in world.files.items() if n != name})

    def rename_file(self, world, _worlds):
        """A file of a folder gets another name; those that a line names stay."""
        files = dict(world.files)
        old = self.random.choice(("d/e/b.txt", "d/e/c.txt"))
        new = "d/e/c.txt" if old.endswith("b.txt") else "d/e/b.txt"
        lines = " ".join(line for stage in world.stages for line in stage)
        if old in files and old not in lines:
            files[new] = files.pop(old)
        return replace(world, files=files)

    def touch(self, world, _worlds):
        return replace(world, touched=(self.random.choice(sorted(world.files)),))

    def ignore(self, world, _worlds):
        pattern = self.random.choice(PATTERNS)
        kept = tuple(p for p in world.ignore if p != pattern)
        return replace(world, ignore=kept if kept != world.ignore else (*world.ignore, pattern))

    def build_arg(self, world, _worlds):
        return replace(world, build_args=self._args())

    def without_cache(self, world, _worlds):
        return replace(world, no_cache=True)

    def back(self, _world, worlds):
        return replace(self.random.choice(worlds), no_cache=False, touched=())

    def same(self, world, _worlds):
        return world

    def other_base(self, world, _worlds):
        return replace(world, base=1 - world.base)

    def other_target(self, world, _worlds):
        names = [None, *(f"s{n}" for n in range(max(1, len(world.stages) - 1)))]
        return replace(world, target=self.random.choice(names))

    def odd(self, world, _worlds):
        """What only some versions of the builders read, or never find again."""
        stage, line = self._place(world)
        lines = list(world.stages[stage])
        lines.insert(
            line, self.random.choice(("ENV E=${A#o}x", "HEALTHCHECK CMD a\nHEALTHCHECK CMD b"))
        )
        return self._with_stage(world, stage, lines)

    def break_step(self, world, _worlds):
        stage = len(world.stages) - 1
        lines = list(world.stages[stage])
        bad = self.random.choice(BROKEN).format(w=self._word())
        lines.insert(self.random.randrange(1, len(lines) + 1), bad)
        return self._with_stage(world, stage, lines)

    def repair(self, world, _worlds):
        bad = ("&& false", "/none")
        stages = tuple(tuple(x for x in s if not x.endswith(bad)) for s in world.stages)
        return replace(world, stages=stages)


EDITS = (  # `odd` holds what labkit leaves unpredicted
    ["change_line", "change_word", "insert_line", "swap_lines", "change_file"] * 3
    + ["change_variable", "build_arg"] * 2
    + [
        "change_mode",
        "add_file",
        "remove_file",
        "rename_file",
        "touch",
        "build_arg",
        "build_arg",
        "back",
    ]
    * 2
    + ["delete_line", "comment", "touch", "ignore", "without_cache", "same", "other_base"]
    + [
        "change_folder_mode",
        "other_target",
        "change_folder_mode",
        "other_target",
        "break_step",
        "break_step",
        "odd",
    ]
)


@st.composite
def scenarios(draw, builder: str, edits: int = 8) -> tuple[World, ...]:
    """A world and what it turns into, edit by edit."""
    maker = Maker(draw(st.randoms(use_true_random=True)), builder)
    worlds = [maker.world()]
    for _n in range(edits):
        worlds.append(maker.edit(worlds))
    return tuple(worlds)
