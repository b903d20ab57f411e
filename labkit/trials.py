"""Run an experiment: edit a copy of the recipe, foresee, build for real, remember.

The learner's folder is copied first, so the edits never touch it. Each round starts on bases of
its own (`cold.py`), so nothing that was ever built before can be found in the cache.
"""

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from labkit import builds, cache, cold
from labkit import dockerfile as dockerfiles
from labkit.edits import Bench, Edit
from labkit.engine import Engine, speaking
from labkit.errors import ExperimentError, FolderError, InputError, LabkitError
from labkit.experiments import Experiment, Trial
from labkit.files import mark
from labkit.recipes import Base, Recipe
from labkit.request import Request, prepare
from labkit.snapshot import Snapshots
from labkit.words import _


def knows_rules(engine: Engine) -> bool:
    """Whether labkit knows by which rules the engine caches: Docker's, not Podman's."""
    return engine.name == "Docker"


def check_rules(engine: Engine) -> None:
    """Raise InputError where the engine caches by rules that labkit does not know."""
    if not knows_rules(engine):
        raise InputError(
            _("labkit cannot foresee what {engine} takes from its cache.").format(
                engine=engine.name
            ),
            _("It knows the rules of Docker's two builders; {engine} has rules of its own.").format(
                engine=engine.name
            ),
            _("Use Docker for this lesson: `python3 start.py doctor` shows the engines."),
        )


def base_facts(engine: Engine, name: str) -> Base:
    """What of an image in the engine enters cache keys."""
    with speaking(_("The engine does not tell about the image {name}.").format(name=name)):
        found = engine.client.api.inspect_image(name)
    config = found.get("Config") or {}
    return Base(
        key=mark(found["RootFS"].get("Layers") or ()),
        image_id=found["Id"],
        env=tuple(tuple(v.split("=", 1)) for v in config.get("Env") or ()),
        folder=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        shell=tuple(config.get("Shell") or ()),
        triggers=tuple(config.get("OnBuild") or ()),
        platform=f"{found['Os']}/{found['Architecture']}",
        config=config,
    )


def recipe(engine: Engine, builder: str, request: Request, snapshots: Snapshots) -> Recipe:
    """The request as data: its Dockerfile, its files, its bases."""
    parsed = dockerfiles.parse(request.text)
    names = parsed.images(request.build_args)
    bases = {name: _facts(engine, request.stands_in.get(name, name)) for name in names}
    return Recipe(
        dockerfile=parsed,
        files=snapshots.take(builder, request),
        build_args=request.build_args,
        target=request.target,
        bases={name: facts for name, facts in bases.items() if facts},
        no_cache=request.no_cache,
        builder=builder,
        merges=engine.store == "containerd",
        engine=_version(engine),
    )


def _facts(engine, name):
    try:
        return base_facts(engine, name)
    except LabkitError:
        return None


def _version(engine):
    numbers = [int("".join(filter(str.isdigit, n)) or 0) for n in engine.version.split(".")[:2]]
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0)


class Rounds:
    """The rounds of one experiment; `build(request)` builds for real."""

    def __init__(self, engine: Engine, builder: str, request: Request, build):
        self.engine, self.builder, self.request, self.build = engine, builder, request, build
        self.snapshots = Snapshots()
        self.rows: list[tuple] = []

    def measured(self) -> Experiment:
        """What has been built so far."""
        return Experiment(tuple(Trial(edit, said, tuple(b)) for edit, said, b in self.rows))

    def check(self, edits) -> None:
        """Make all edits once without a build; InputError where one finds nothing to change."""
        with _Copy(self.request) as bench:
            for edit in edits:
                edit.apply(bench)
                self._prepare(bench, lambda _names: {})

    def run(self, edits: tuple[Edit, ...], repeat: int) -> Experiment:
        """Build the recipe, then after each edit; all of it `repeat` times over.

        Raises ExperimentError, with what has been measured, where a build cannot be carried out.
        """
        for number in range(repeat):
            self._round(number, (None, *edits))
        return self.measured()

    def _round(self, number, edits):
        with cold.Bases(self.engine) as bases, _Copy(self.request) as bench:
            memory = cache.Memory(shares_scratch=True)
            for place, edit in enumerate(edits):
                with self._keeping(edit):
                    said, built, memory = self._trial(edit, bench, bases, memory)
                bases.built.append(built.image_id)
                self._keep(number, place, edit, said, built)

    def _trial(self, edit, bench, bases, memory):
        """Make one edit and build: what was foreseen, the build, the memory after it."""
        bench.no_cache = False
        if edit:
            edit.apply(bench)
        shown = {}

        def stands_in(names):
            shown.update({n: self.request.stands_in.get(n, n) for n in names})
            self._check_stages(bench, names)
            return {name: bases.of(image) for name, image in shown.items()}

        request = self._prepare(bench, stands_in)
        made = recipe(self.engine, self.builder, request, self.snapshots)
        said = memory.predict(made)
        built = self.build(request)
        if built.problem and not built.failed:  # No step failed: the builder itself did.
            raise built.problem
        memory = memory.after(made, built.outcomes())
        told = cache.told(said, built.steps)
        return said, replace(_shown(built, shown), reasons=told), memory

    def _check_stages(self, bench, names):
        """A stand-in for an image would take the place of a stage of the same name, too."""
        stages = dockerfiles.parse(bench.text).stages
        for name in names:
            if name.removesuffix(":latest") in stages:
                raise InputError(
                    _("A stage has the name of its base, {name}.").format(name=name),
                    _("An experiment puts a base of its own in the place of that name."),
                    _("Give the stage another name after AS."),
                )

    def _prepare(self, bench, stands_in):
        more = {"build_args": bench.build_args, "no_cache": bench.no_cache}
        more |= {"file": bench.dockerfile, "target": self.request.target}
        return prepare(self.builder, bench.folder, stands_in, **more)

    def _keep(self, number, place, edit, said, built):
        if number == 0:
            self.rows.append((edit, said, [built]))
        else:
            self.rows[place][2].append(built)

    @contextmanager
    def _keeping(self, edit):
        """Turn a fault into an ExperimentError that has what was measured before."""
        try:
            yield
        except LabkitError as error:
            title = edit.title if edit else _("as it is")
            raise ExperimentError(title, error, self.measured()) from error


class _Copy:
    """A copy of the request's folder as a Bench; it goes at the end."""

    def __init__(self, request):
        self.request = request

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory()
        folder = Path(self.place.name, "recipe", self.request.folder.resolve().name)
        try:
            shutil.copytree(self.request.folder, folder, symlinks=True, ignore=_special)
            return Bench(folder, self._dockerfile(folder), dict(self.request.build_args))
        except (OSError, shutil.Error) as error:
            self.place.cleanup()
            raise FolderError(
                _("The folder {folder} cannot be copied.").format(folder=self.request.folder),
                str(error),
                _("An experiment works on a copy: see that you may read all that is in it."),
            ) from error

    def _dockerfile(self, folder):
        """The Dockerfile's own copy, a file even where it is a link; it keeps its place."""
        written = Path(os.path.abspath(self.request.dockerfile))
        source = Path(os.path.abspath(self.request.folder))
        inside = written.is_relative_to(source)
        copy = (
            folder / written.relative_to(source) if inside else Path(self.place.name, written.name)
        )
        text = written.read_bytes()
        if not inside or copy.is_symlink():
            copy.unlink(missing_ok=True)
            copy.write_bytes(text)
        ignore = written.with_name(written.name + ".dockerignore")
        if not inside and ignore.is_file():
            shutil.copy2(ignore, copy.with_name(ignore.name))
        return copy

    def __exit__(self, *_error):
        self.place.cleanup()


def _special(folder, names):
    """What cannot be copied: sockets and pipes."""
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}
    return [n for n, m in modes.items() if stat.S_ISSOCK(m) or stat.S_ISFIFO(m)]


def _shown(build, shown):
    """The build, with the bases named that the cold ones were made from."""
    return builds.read(replace(build.recording, stands_in=shown))
