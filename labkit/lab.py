"""`Lab`: the one object that joins engine, builder and model."""

import os
import re
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labkit import base, builders, builds, containers, dockerfile, history, live, recording, views, xray
from labkit.builders import LABEL, Request
from labkit.builds import Build
from labkit.engine import Engine, find, speaking
from labkit.errors import ContainerError, FolderError, InputError, TagError
from labkit.history import History
from labkit.layers import Layer
from labkit.words import _

# https://pkg.go.dev/github.com/distribution/reference: name[:port]/path[:tag], without a digest.
_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_NAME}(?:/{_NAME})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
)


class Lab:
    """The laboratory: finds the engine, builds, runs, cleans up after itself.

    `builder` is "buildkit" or "classic"; None takes LABKIT_BUILDER, else the best that is there. `engine` takes an
    engine that was found already. Raises EngineError with what was tried and what to do.
    """

    def __init__(self, builder: str | None = None, engine: Engine | None = None):
        self.engine = engine or find()
        self._base, self._builder = None, None
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
                _("Ask for one of these. BuildKit needs the docker CLI with buildx 0.12 or newer "
                  "(on Debian 13: apt-get install docker-cli docker-buildx)."),
            )

    def build(
        self, folder, *, tag: str = "", dockerfile=None, target=None, build_args=None,
        no_cache: bool = False, builder: str | None = None, on_event=None, show: bool = True,
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
        request = self._request(folder, tag, dockerfile, target, build_args, no_cache)
        if show:
            print("$ " + builders.command(builder, request), flush=True)
        return self._build(builder, request, on_event, show)

    def _build(self, builder, request, on_event, show):
        reader = builds.reader(
            recording.Recording(builder, request.text, stands_in=request.stands_in,
                                target=request.target)
        )
        positions = {id(row): n for n, row in enumerate(reader.rows)}
        title = _("Building {name} …").format(name=request.tag or request.folder.name)
        with live.view(title, reader.rows) if show else _Silence() as view:

            def tell(at, event):
                row = reader.feed(at, event)
                if row is None:
                    return None
                view.update(row)
                if on_event:
                    on_event(row)
                return positions[id(row)]

            record = builders.build(self.engine, builder, request, tell)
        return builds.read(record)

    def _request(self, folder, tag, file, target, build_args, no_cache):
        folder = _folder(folder)
        file = _dockerfile_path(folder, file)
        parsed = dockerfile.load(file)
        parsed.final_stage(target)
        if tag:
            _check_tag(tag)
        froms = _froms(parsed, build_args)
        stands_in = self._stands_in() if froms else None
        return Request(
            folder=folder, dockerfile=file, text=parsed.text, tag=tag, target=target,
            build_args={k: str(v) for k, v in (build_args or {}).items()}, no_cache=no_cache,
            stands_in=stands_in, froms=froms if stands_in else (),
        )

    def _stands_in(self):
        """(ubuntu:24.04, what takes its place), None where it is itself."""
        if self._base is None:
            self._base = base.choose(self.engine, lambda text: print(text, flush=True))
        return None if self._base == base.UBUNTU else (base.UBUNTU, self._base)

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
                for chunk in self.engine.client.api.get_image(tag):
                    file.write(chunk)
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                xray.save(archive, layer.digest, path)
        return Path(path)

    def _describe(self, tag):
        if not base.present(self.engine, tag):
            raise InputError(
                _("The engine has no image {name}.").format(name=tag),
                _("Looked with `docker image inspect {name}`.").format(name=tag),
                _("Build it first: lab.build(folder, tag={name!r}).").format(name=tag),
            )
        return builders.describe(self.engine, tag)

    @contextmanager
    def run(self, tag: str, *, port: int = 5000, path: str = "/", seconds: float = 30, **options):
        """Run the image and give a `Running` once its port answers; remove it at the end.

        `seconds` is how long it may take to answer. Raises ContainerError, with the log.
        """
        print(f"$ docker run --rm -p {port}:{port} {tag}", flush=True)
        self._describe(tag)
        with containers.run(self.engine, tag, port=port, path=path, seconds=seconds, **options) as c:
            yield c

    def clean(self) -> "Cleaned":
        """Remove the containers and images that labkit made, and nothing else.

        They are known by labkit's label. An image that somebody built FROM one of ours has the
        label too, by inheritance: it stays, since the label names another tag than its own.
        The base image and the build cache stay.
        """
        with speaking(_("Not all could be removed."), ContainerError):
            found = self.engine.client.containers.list(
                all=True, filters={"label": LABEL}, ignore_removed=True
            )
            gone = [c for c in found if _ours(c.labels.get(LABEL), [c.attrs["Config"]["Image"]])]
            for container in gone:
                container.remove(force=True, v=True)
            return Cleaned(len(gone), self._clean_images())

    def _clean_images(self):
        count, client = 0, self.engine.client
        for image in client.images.list(filters={"label": LABEL}):
            value = (image.labels or {}).get(LABEL)
            if _ours(value, image.tags):
                for name in image.tags or [image.id]:
                    client.images.remove(name)
                count += 1
        return count


def _ours(value, names):
    return not names or any(_full(name) == _full(value) for name in names)


def _full(name):
    name = name.removeprefix("docker.io/").removeprefix("library/").removeprefix("localhost/")
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


@dataclass(frozen=True)
class Cleaned:
    """How many containers and images `Lab.clean` removed."""

    containers: int
    images: int

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.text(), "text/html": views.box(views.paragraph(self.text()))}

    def text(self) -> str:
        return _("Removed: containers {containers}, images {images}.").format(
            containers=self.containers, images=self.images
        )


class _Silence:
    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def update(self, row):
        pass


def _folder(folder):
    path = Path(folder)
    if not path.is_dir():
        raise FolderError(
            _("There is no folder {folder}.").format(folder=folder),
            _("Looked from {place}.").format(place=Path.cwd()),
            _("Make it, or check the name."),
        )
    return path


def _dockerfile_path(folder, file):
    path = Path(file) if file else folder / "Dockerfile"
    if not path.is_file() and file and (folder / file).is_file():
        path = folder / file
    if path.is_file():
        return path
    names = ", ".join(sorted(p.name for p in folder.iterdir())[:10])
    raise FolderError(
        _("There is no {path}.").format(path=path),
        _("In the folder: {names}.").format(names=names) if names else _("The folder is empty."),
        _("Write a Dockerfile there: %%writefile {path}").format(path=path),
    )


def _check_tag(tag):
    if not _TAG.fullmatch(tag):
        raise TagError(
            _("“{tag}” cannot be the name of an image.").format(tag=tag),
            _("A name has small letters, digits and . _ - / between them; after a colon a tag."),
            _("For example: webapp, webapp:1.0, localhost:5000/webapp."),
        )


def _froms(parsed, build_args):
    """(line, base as written) of each FROM whose base is the lecture's Ubuntu."""
    stages = range(len(parsed.stages))
    return tuple(
        (parsed.stage(n)[0].line, parsed.stage(n)[0].arguments[0])
        for n in stages
        if parsed.base(n, build_args) == base.UBUNTU
    )
