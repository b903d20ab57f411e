"""`Lab`: the one object that joins engine, builder and model."""

import os
import tarfile
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from labkit import (
    base,
    builders,
    builds,
    cache,
    cleaning,
    containers,
    history,
    live,
    trials,
    views,
    xray,
)
from labkit.builds import Build
from labkit.dockerfile import parse
from labkit.edits import Edit
from labkit.engine import Engine, find, speaking
from labkit.errors import InputError
from labkit.experiments import Experiment
from labkit.guesses import Guess
from labkit.history import History
from labkit.layers import Layer
from labkit.recording import Recording
from labkit.request import UBUNTU, check_tag, command, full_name, prepare
from labkit.snapshot import Snapshots
from labkit.words import _


class Lab:
    """The laboratory: finds the engine, builds, runs, cleans up after itself.

    `builder` is "buildkit" or "classic"; None takes LABKIT_BUILDER, else the best that is there.
    `engine` takes an engine that was found already. Raises EngineError with what was tried and
    what to do.
    """

    def __init__(self, builder: str | None = None, engine: Engine | None = None):
        self.engine = engine or find()
        self._base, self._builder = None, None
        self.measured = None
        self._memories, self._snapshots = {}, Snapshots()
        if builder := builder or os.environ.get("LABKIT_BUILDER"):
            self.builder = builder

    def __repr__(self):
        return f"<Lab: {self.engine.name}>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        engine = self.engine
        facts = [
            (_("engine"), f"{engine.name} {engine.version}"),
            (_("API"), engine.api),
            (_("builder"), self.builder),
            (_("image store"), engine.store),
            (_("found by"), engine.source),
        ]
        ready = _("The engine answers: the lab is ready.")
        page = views.box(views.paragraph(ready), views.table(("", ""), facts))
        return {"text/plain": ready, "text/html": page}

    @property
    def builder(self) -> str:
        """The builder in use: "buildkit" or "classic"."""
        return self._builder or self.engine.builders[0]

    @builder.setter
    def builder(self, name: str) -> None:
        self._check_builder(name)
        self._builder = name

    def _check_builder(self, name):
        if name not in self.engine.builders:
            raise InputError(
                _("This engine has no builder “{name}”.").format(name=name),
                _("It has: {names}.").format(names=", ".join(self.engine.builders)),
                _(
                    "Ask for one of these. BuildKit needs the docker CLI with buildx 0.12 or newer "
                    "(on Debian 13: apt-get install docker-cli docker-buildx)."
                ),
            )

    def build(
        self,
        folder,
        *,
        tag: str = "",
        dockerfile=None,
        target=None,
        build_args=None,
        no_cache: bool = False,
        builder: str | None = None,
        on_event=None,
        show: bool = True,
    ) -> Build:
        """Build what is in the folder and tell what each step did.

        `dockerfile` is a path, by default `folder/Dockerfile`. `builder` is for this build alone.
        `on_event` is called with the `progress.Row` of a step at every news of it. `show=False`
        prints and draws nothing. A build that fails is a Build with a FAILED step; raises
        FolderError, DockerfileError and TagError for what cannot be built at all.
        """
        if builder:
            self._check_builder(builder)
        builder = builder or self.builder
        names = {"tag": tag, "file": dockerfile, "build_args": build_args}
        more = {"target": target, "no_cache": no_cache}
        request = prepare(builder, folder, self._stands_in, **names, **more)
        if show:
            print("$ " + command(builder, request), flush=True)
        build = self._build(builder, request, on_event, show)
        return replace(build, reasons=self._reasons(builder, request, build))

    def _reasons(self, builder, request, build):
        """Why each step came as it did, beside the builds of this recipe before it."""
        if not trials.knows_rules(self.engine):
            return ()
        key = (builder, request.folder.resolve(), request.dockerfile.resolve())
        memory = self._memories.get(key, cache.Memory())
        try:
            recipe = trials.recipe(self.engine, builder, request, self._snapshots)
            said = memory.predict(recipe)
            self._memories[key] = memory.after(recipe, build.outcomes())
            return cache.told(said, build.steps)
        except Exception:  # A build that has run is not lost to a fault in telling why.
            return ()

    def experiment(
        self,
        folder,
        edits=(),
        *,
        repeat: int = 1,
        dockerfile=None,
        target=None,
        build_args=None,
        builder: str | None = None,
    ) -> Experiment:
        """Build the recipe in a folder, then again after each edit, and lay foreseen against true.

        `edits` are those of `labkit.edits`; each goes on from the one before it. The edits are made
        in a copy, and on a cold base, so neither the folder nor the cache is touched. With
        `repeat` all is done so many times over, and times are given as medians. Raises InputError
        for an edit that finds nothing to change, before anything is built; ExperimentError where
        a build cannot be carried out, with what was measured before (also in `lab.measured`), or
        on Podman, whose builder has rules of its own.
        """
        if builder:
            self._check_builder(builder)
        builder = builder or self.builder
        more = {"file": dockerfile, "build_args": build_args, "target": target}
        request = prepare(builder, folder, self._stands_in, **more)

        def build(request):
            return self._build(builder, request, None, False)

        trials.check_rules(self.engine)
        rounds = trials.Rounds(self.engine, builder, request, build)
        edits = _edits(edits, repeat)
        rounds.check(edits)
        try:
            return rounds.run(edits, repeat)
        finally:
            self.measured = rounds.measured()

    def ask(self, folder, dockerfile=None) -> Guess:
        """A form in which the learner foresees each step of the Dockerfile in a folder.

        Nothing is printed or built; the engine is not asked. As the last expression of a cell it
        is shown, and shown again it keeps its answers. Raises FolderError and DockerfileError.
        """
        request = prepare(self.builder, folder, lambda names: {}, file=dockerfile)
        return Guess(parse(request.text))

    def _build(self, builder, request, on_event, show):
        empty = Recording(
            builder,
            request.text,
            stands_in=request.stands_in,
            target=request.target,
            build_args=request.build_args,
        )
        reader = builds.reader(empty)
        positions = {id(row): n for n, row in enumerate(reader.rows)}
        title = _("Building {name} …").format(name=request.tag or request.folder.name)
        with live.view(title, reader) if show else nullcontext() as view:

            def tell(at, event):
                row = reader.feed(at, event)
                if row is None:
                    return None
                if view:
                    view.update(row)
                if on_event:
                    on_event(row)
                return positions[id(row)]

            record = builders.build(self.engine, builder, request, tell)
        build = builds.read(record)
        if build.ok:
            cleaning.remember(build.image_id)
        return build

    def _stands_in(self, names):
        """What takes the place of these bases: of ubuntu:24.04 what is there instead."""
        if UBUNTU not in names:
            return {}
        if self._base is None:
            self._base = base.choose(self.engine, lambda text: print(text, flush=True))
        return {} if self._base == UBUNTU else {UBUNTU: self._base}

    def history(self, tag: str) -> History:
        """What `docker history` says of an image, with the digest of each layer.

        Raises InputError where there is no such image.
        """
        print(f"$ docker history {tag}", flush=True)
        return history.read(self._describe(tag), tag)

    def save_layer(self, tag: str, layer: Layer, path) -> Path:
        """Write the layer's own tar, uncompressed, to the file `path`; its sha256 is the digest.

        Raises InputError where the image has no such layer.
        """
        print(f"$ docker save {tag}", flush=True)
        self._describe(tag)
        with tempfile.TemporaryFile() as file:
            with speaking(_("The image {name} was not saved.").format(name=tag)):
                # Without a tag the engine would save every image of this name.
                for chunk in self.engine.client.api.get_image(full_name(tag)):
                    file.write(chunk)
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                _write(archive, layer, path)
        return Path(path)

    def _describe(self, tag):
        check_tag(tag)
        if not base.present(self.engine, tag):
            raise InputError(
                _("The engine has no image {name}.").format(name=tag),
                _("Looked with `docker image inspect {name}`.").format(name=tag),
                _("Build it first: lab.build(folder, tag={name!r}).").format(name=tag),
            )
        return builders.describe(self.engine, tag)

    @contextmanager
    def run(
        self,
        tag: str,
        *,
        port: int = 5000,
        path: str = "/",
        seconds: float = 30,
        environment: dict | None = None,
        command: list | None = None,
    ):
        """Run the image and give a `Running` once its port answers; remove it at the end.

        `seconds` is how long it may take to answer. The port on this machine is a free one, not
        the one in the printed command, so that two lessons do not meet. Raises ContainerError,
        with the log.
        """
        options = {"environment": environment or {}, "command": command or []}
        print("$ " + containers.command(tag, port, **options), flush=True)
        self._describe(tag)
        with containers.run(
            self.engine, tag, port=port, path=path, seconds=seconds, **options
        ) as c:
            yield c

    def clean(self) -> cleaning.Cleaned:
        """Remove the containers and images that labkit made, and nothing else; see cleaning.py."""
        return cleaning.clean(self.engine)


def _edits(edits, repeat):
    """The edits as a tuple, one alone too; InputError where they are none, or there is no round."""
    found = (edits,) if isinstance(edits, Edit) else tuple(edits or ())
    strange = [edit for edit in found if not isinstance(edit, Edit)]
    if strange or repeat < 1:
        raise InputError(
            _("This is no experiment: edits={edits}, repeat={repeat}.").format(
                edits=strange or "…", repeat=repeat
            ),
            _("Edits are made with labkit.edits; repeat is 1 or more."),
            _('For example: lab.experiment("webapp", [edits.change_file("app.py")])'),
        )
    return found


def _write(archive, layer, path):
    try:
        xray.save(archive, layer.digest, path)
    except OSError as error:
        raise InputError(
            _("The file {path} cannot be written.").format(path=path),
            str(error),
            _("Give the name of a file in a folder that is there and is yours."),
        ) from error
