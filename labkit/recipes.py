"""`Recipe`: all that a build is made from, as data; the cache is asked about it before a build."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.dockerfile import Dockerfile
from labkit.files import Files


@dataclass(frozen=True)
class Base:
    """What of a base image enters the cache keys of the steps on it.

    `key` names its file system (the chain of its diff_ids), `image_id` the image; `env` is
    in the image's order. `labkit.trials.base_facts` reads it from an engine.
    """

    key: str
    image_id: str = ""
    env: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    user: str = ""
    shell: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    platform: str = "linux/amd64"
    config: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A Dockerfile with its context, and what the builder is told beside them.

    `bases` holds the facts of the images that FROM and COPY --from name, by the name as written
    with its variables put in. `builder` is "buildkit" or "classic"; `merges` whether the engine
    can lay a COPY --link over other layers, as its containerd store can; `engine` the first two
    numbers of its version.
    """

    dockerfile: Dockerfile
    files: Files = field(default_factory=Files)
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    bases: Mapping[str, Base] = field(default_factory=dict)
    no_cache: bool = False
    builder: str = "buildkit"
    merges: bool = False
    engine: tuple[int, int] = (26, 1)
