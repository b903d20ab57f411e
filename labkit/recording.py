"""`Recording`: what a builder said, whole, so that it can be read again later; <-> JSON."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from labkit.errors import InputError
from labkit.words import _


@dataclass(frozen=True)
class Recording:
    """One build as the builder told it; `builds.read` makes a Build of it.

    `events` are pairs (seconds since the start, what the builder sent): for BuildKit the
    objects of `--progress=rawjson`, for the classic builder those of its JSON stream, for both
    `{"labkit": ...}` for what labkit noticed. Of a long log only the tail is kept.
    `image` is what the engine's inspect says, None where the build failed; `history` are the
    rows of its history, newest first. `layer_counts` tells how many layers the images of
    single steps have (classic only): it decides whether a row of 0 bytes has a layer.
    `stands_in` leads from what the learner wrote after FROM to what took its place.
    """

    builder: str
    dockerfile: str
    events: tuple = ()
    image: dict | None = None
    history: tuple = ()
    layer_counts: dict = field(default_factory=dict)
    stands_in: dict = field(default_factory=dict)
    tag: str = ""
    target: str | None = None
    build_args: dict = field(default_factory=dict)
    command: str = ""
    versions: dict = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    replay: bool = False

    def save(self, path) -> None:
        """Write it to a file as JSON."""
        Path(path).write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")


def load(path) -> Recording:
    """The recording in a file, marked as a replay.

    Raises InputError where the file is not a recording.
    """
    try:
        data = json.loads(Path(path).read_text())
        data["events"] = tuple((at, event) for at, event in data["events"])
        data["history"] = tuple(data["history"])
        return Recording(**{**data, "replay": True})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            _("{path} is not a recording of a build.").format(path=path),
            str(error),
            _("Give a file that Recording.save wrote."),
        ) from error
