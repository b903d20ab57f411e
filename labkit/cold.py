"""A base on which nothing was ever built: first builds on it find nothing in the cache.

It is the image and one file more, which holds a random word, so the cache that is there is left
alone: neither used nor emptied.
"""

import contextlib
import io
import secrets
import tarfile

import docker

from labkit import base
from labkit.context import add_text
from labkit.engine import FAULTS, Engine, speaking
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
        key = image_id(self._engine, image)
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


def image_id(engine: Engine, image: str) -> str:
    """The id of an image, which is pulled where it is not there; BaseError where it cannot be had."""
    if not (base.present(engine, image) or base.pull(engine, image)):
        raise _no_base(image, _("It is not in the engine and no registry gave it."))
    with speaking(_("The engine does not tell about the image {name}.").format(name=image)):
        return engine.client.api.inspect_image(image)["Id"]


def derive(engine: Engine, image: str) -> str:
    """Make one cold base; its name."""
    name = f"labkit/cold:{secrets.token_hex(6)}"
    try:
        found = engine.client.api.inspect_image(image)
        if (found.get("Config") or {}).get("OnBuild"):
            raise _no_base(image, _("It has ONBUILD triggers, which would run beforehand."))
        events = engine.client.api.build(
            fileobj=_recipe(image),
            custom_context=True,
            tag=name,
            rm=True,
            forcerm=True,
            decode=True,
        )
        faults = [event["error"] for event in events if "error" in event]
    except FAULTS as error:
        raise _no_base(image, str(getattr(error, "explanation", None) or error)) from error
    if faults:
        raise _no_base(image, faults[0])
    return name


def _recipe(image):
    data = io.BytesIO()
    with tarfile.open(mode="w", fileobj=data) as archive:
        add_text(archive, "Dockerfile", f"FROM {image}\nCOPY word /{_FILE}\n")
        add_text(archive, "word", secrets.token_hex(16) + "\n")
    data.seek(0)
    return data


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
            try:
                api.remove_image(image, force=True)
            except (docker.errors.ImageNotFound, docker.errors.APIError):
                continue  # A child of it is still to go, or it went with one.
        _gone(api, name)


def _gone(api, name):
    try:
        api.remove_image(name, force=True)
    except docker.errors.APIError:
        pass  # It went with another, or somebody uses it by now.


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
