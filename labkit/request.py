"""What is to be built, checked; and the line that builds it in a terminal."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from labkit import dockerfile
from labkit.errors import DockerfileError, FolderError, TagError
from labkit.words import _

UBUNTU = "ubuntu:24.04"
"""The base image that the lessons write after FROM."""

# https://pkg.go.dev/github.com/distribution/reference: name[:port]/path[:tag], without a digest.
_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_NAME}(?:/{_NAME})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
)


@dataclass(frozen=True)
class Request:
    """What is to be built. `dockerfile` is a path; `text` is what it holds.

    `stands_in` is what takes the place of a base: name as written -> image. `froms`
    are (first line, last line, base as written, image) of each FROM with a stand-in.
    """

    folder: Path
    dockerfile: Path
    text: str
    tag: str = ""
    target: str | None = None
    build_args: dict = field(default_factory=dict)
    no_cache: bool = False
    stands_in: dict[str, str] = field(default_factory=dict)
    froms: tuple[tuple[int, int, str], ...] = ()

    @property
    def place(self) -> str:
        """The folder as it stands in a command: one called -x is no option."""
        return f"./{self.folder}" if str(self.folder).startswith("-") else str(self.folder)

    @property
    def label(self) -> str:
        """The label's value: the name that the image had when labkit built it."""
        return self.tag or "-"


def prepare(builder, folder, stands_in, *, tag="", file=None, build_args=None, **options):
    """The request, where all that it names is there.

    `stands_in(names)` is asked for what takes the place of these bases: written -> image.
    Raises FolderError, DockerfileError and TagError.
    """
    folder = _folder(folder)
    file = _dockerfile_path(folder, file)
    parsed = dockerfile.load(file)
    parsed.final_stage(options.get("target"))
    if builder == "classic":
        _check_no_heredoc(parsed)
    if tag:
        check_tag(tag)
    instead = stands_in(parsed.images(build_args))
    return Request(
        folder=folder,
        dockerfile=file,
        text=parsed.text,
        tag=tag,
        build_args={name: str(value) for name, value in (build_args or {}).items()},
        stands_in=instead,
        froms=_froms(parsed, build_args, instead),
        **options,
    )


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


def check_tag(tag):
    if not _TAG.fullmatch(tag):
        raise TagError(
            _("“{tag}” cannot be the name of an image.").format(tag=tag),
            _("A name has small letters, digits and . _ - / between them; after a colon a tag."),
            _("For example: webapp, webapp:1.0, localhost:5000/webapp."),
        )


def _check_no_heredoc(parsed):
    """Docker 26's classic builder runs a heredoc as if it were empty; others refuse it."""
    for instruction in parsed.instructions:
        if instruction.heredocs:
            raise DockerfileError(
                _("The classic builder knows no heredoc."),
                _("Line {line}: {text}").format(line=instruction.line, text=instruction.text),
                _("Join the commands with &&, or build with BuildKit."),
            )


def _froms(parsed, build_args, stands_in):
    """Where each FROM stands whose base has a stand-in; see Request.froms."""
    stages = range(len(parsed.stages))
    return tuple(
        (start.line, start.end_line, start.arguments[0], stands_in[parsed.base(n, build_args)])
        for n in stages
        for start in [parsed.stage(n)[0]]
        if parsed.base(n, build_args) in stands_in
    )


def full_name(name: str) -> str:
    """The image's name with its tag.

    >>> full_name("webapp"), full_name("localhost:5000/webapp"), full_name("webapp:v2")
    ('webapp:latest', 'localhost:5000/webapp:latest', 'webapp:v2')
    """
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def command(builder: str, request: Request) -> str:
    """The line that does the same in a terminal."""
    if builder == "buildkit":
        return shlex.join(["docker", "build", *buildkit_options(request)])
    argv = ["docker", "build", *_options(request)]
    if not request.stands_in:
        return "DOCKER_BUILDKIT=0 " + shlex.join([*argv, *_file(request), request.place])
    edits = ";".join(map(_edit, request.froms))
    edit = shlex.quote(edits)
    file = shlex.quote(str(request.dockerfile))
    piped = shlex.join([*argv, "-f", "-", request.place])
    return f"sed {edit} {file} | DOCKER_BUILDKIT=0 {piped}"


def _edit(place):
    first, last, written, image = place
    lines = first if first == last else f"{first},{last}"
    return f"{lines}s#{written}#{image}#"


def buildkit_options(request):
    argv = []
    for written, here in request.stands_in.items():
        argv += ["--build-context", f"{written}=docker-image://{here}"]
    return [*argv, *_options(request), *_file(request), request.place]


def _options(request):
    argv = ["-t", request.tag] if request.tag else []
    argv += ["--target", request.target] if request.target else []
    for name, value in request.build_args.items():
        argv += ["--build-arg", f"{name}={value}"]
    return [*argv, "--no-cache"] if request.no_cache else argv


def _file(request):
    default = request.dockerfile == request.folder / "Dockerfile"
    return [] if default else ["-f", str(request.dockerfile)]
