"""A base on which nothing was ever built: first builds on it find nothing in the cache.

It is the image and one file more, which holds a random word, so the cache that is there is left
alone: neither used nor emptied.
"""

import contextlib
import secrets

import docker

from labkit import base
from labkit.engine import Engine, speaking
from labkit.errors import BaseError, LabkitError
from labkit.words import _

_FILE = "etc/labkit-cold"


class Bases:
    """The cold bases of one round; what was built on them is removed at the end.

    `of(image)` raises BaseError where an image is gone, or has ONBUILD triggers.
    """

    def __init__(self, engine: Engine):
        self._engine, self.made = engine, {}
        self.built: list[str | None] = []

    def of(self, image: str) -> str:
        """The cold base that was made from an image; one for all the names that it has."""
        key = _inspected(self._engine, image)["Id"]
        if key not in self.made:
            self.made[key] = derive(self._engine, image)
        return self.made[key]

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _trace):
        # An engine that has died takes nothing away; what broke it off is the news.
        with contextlib.suppress(LabkitError if error else ()):
            for name in self.made.values():
                remove(self._engine, name)
            for image in filter(None, self.built):  # What stands on scratch has no cold base below.
                _gone(self._engine.client.api, image)


def derive(engine: Engine, image: str) -> str:
    """Make one cold base; its name."""
    if (_inspected(engine, image).get("Config") or {}).get("OnBuild"):
        raise _no_base(image, _("It has ONBUILD triggers, which would run beforehand."))
    name = f"labkit/cold:{secrets.token_hex(6)}"
    text = f"FROM {image}\nCOPY word /{_FILE}\n"
    if fault := base.build(engine, name, {"Dockerfile": text, "word": secrets.token_hex(16)}):
        raise _no_base(image, fault)
    return name


def _inspected(engine, image):
    """What the engine tells of an image, which is pulled where it is not there."""
    if not (base.present(engine, image) or base.pull(engine, image)):
        raise _no_base(image, _("It is not in the engine and no registry gave it."))
    with speaking(_("The engine does not tell about the image {name}.").format(name=image)):
        return engine.client.api.inspect_image(image)


def _no_base(image, tried):
    return BaseError(
        _("No experiment can begin on the base {image}.").format(image=image),
        tried,
        _("Look with `docker images` which are there, and name one of them after FROM."),
    )


def remove(engine: Engine, name: str) -> None:
    """Remove a cold base and all images that were built on it; nothing else has its layers."""
    with speaking(_("The experiment's images were not all removed.")):
        api = engine.client.api
        try:
            layers = api.inspect_image(name)["RootFS"]["Layers"]
        except docker.errors.ImageNotFound:
            return
        for image in _built_on(api, layers):
            _gone(api, image)
        _gone(api, name)


def _gone(api, name):
    try:
        api.remove_image(name, force=True)
    except docker.errors.APIError:
        pass  # It went with another, a child of it is still to go, or somebody uses it.


def _built_on(api, layers):
    """The ids of images with these layers below, those with most layers first."""
    found = []
    for image in {row["Id"] for row in api.images(all=True)}:
        try:
            own = api.inspect_image(image)["RootFS"].get("Layers") or []
        except docker.errors.ImageNotFound:
            continue
        if own[: len(layers)] == layers and len(own) > len(layers):
            found.append((len(own), image))
    return [image for _count, image in sorted(found, reverse=True)]
