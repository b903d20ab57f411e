"""Remove what labkit made, and nothing else.

It is known by labkit's labels, whose values are the names that labkit gave. Labels are inherited:
an image that somebody built FROM one of ours, a container that somebody started from it, and a
second name that somebody gave it all have one, but with another name than their own, so they stay.
Of images without a name only those go whose id labkit wrote down when it made them. The base image
and the build cache stay as well.
"""

import contextlib
from dataclasses import dataclass

from labkit import private, views
from labkit.builders import LABEL as IMAGE
from labkit.containers import LABEL as CONTAINER
from labkit.engine import FAULTS, Engine, speaking
from labkit.errors import ContainerError
from labkit.request import full_name
from labkit.words import _

_LEDGER = "images.txt"


@dataclass(frozen=True)
class Cleaned:
    """How many containers and images were removed."""

    containers: int
    images: int

    def __str__(self):
        return _("Removed: containers {containers}, images {images}.").format(
            containers=self.containers, images=self.images
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": str(self), "text/html": views.box(views.paragraph(str(self)))}


def remember(image_id: str) -> None:
    """Write down the id of an image that labkit made; a folder that cannot be written is no fault."""
    with contextlib.suppress(OSError):
        private.home().mkdir(parents=True, exist_ok=True)
        with open(private.home() / _LEDGER, "a") as ledger:
            ledger.write(f"{image_id}\n")


def _remembered():
    with contextlib.suppress(OSError):
        return set((private.home() / _LEDGER).read_text().split())
    return set()


def clean(engine: Engine) -> Cleaned:
    """Remove labkit's containers, then its images; raises ContainerError where one will not go."""
    kept = []
    with speaking(_("Not all could be removed."), ContainerError):
        cleaned = Cleaned(_containers(engine.client), _images(engine.client, kept))
    if kept:
        raise ContainerError(
            _("Not all could be removed."),
            "\n".join(kept),
            _("Remove the containers that use these images (docker rm), then clean again."),
        )
    return cleaned


def _containers(client):
    found = client.containers.list(all=True, filters={"label": CONTAINER}, ignore_removed=True)
    ours = [c for c in found if c.labels.get(CONTAINER) == c.name]
    for container in ours:
        container.remove(force=True, v=True)
    return len(ours)


def _images(client, kept):
    """Remove all that will go; `kept` gets what the engine says of the others."""
    gone, remembered = set(), _remembered()
    for image in client.images.list(filters={"label": IMAGE}):
        name = _full((image.labels or {}).get(IMAGE))
        ours = [tag for tag in image.tags if _full(tag) == name]
        if not image.tags and image.id in remembered:  # A later build has taken its name.
            ours = [image.id]
        for tag in ours:
            try:
                client.images.remove(tag)
            except FAULTS as error:
                kept.append(str(getattr(error, "explanation", None) or error))
            else:
                gone.add(image.id)
    return len(gone)


def _full(name):
    """The name as both engines would give it: Podman adds a registry to it."""
    name = name.removeprefix("docker.io/").removeprefix("library/")
    return full_name(name)
