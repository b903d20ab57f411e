"""Remove what labkit made, and nothing else.

It is known by labkit's labels, whose values are the names that labkit gave. Labels are inherited:
an image that somebody built FROM one of ours, a container that somebody started from it, and a
second name that somebody gave it all have one, but with another name than their own, so they stay.
The base image and the build cache stay as well.
"""

from dataclasses import dataclass

from labkit import views
from labkit.builders import LABEL as IMAGE
from labkit.containers import LABEL as CONTAINER
from labkit.engine import Engine, speaking
from labkit.errors import ContainerError
from labkit.request import full_name
from labkit.words import _


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


def clean(engine: Engine) -> Cleaned:
    """Remove labkit's containers, then its images; raises ContainerError where one will not go."""
    with speaking(_("Not all could be removed."), ContainerError):
        return Cleaned(_containers(engine.client), _images(engine.client))


def _containers(client):
    found = client.containers.list(all=True, filters={"label": CONTAINER}, ignore_removed=True)
    ours = [c for c in found if c.labels.get(CONTAINER) == c.name]
    for container in ours:
        container.remove(force=True, v=True)
    return len(ours)


def _images(client):
    count = 0
    for image in client.images.list(filters={"label": IMAGE}):
        name = _full((image.labels or {}).get(IMAGE))
        ours = [tag for tag in image.tags if _full(tag) == name]
        if not image.tags:  # One that a later build has taken the name from.
            ours = [image.id]
        for tag in ours:
            client.images.remove(tag)
        count += bool(ours)
    return count


def _full(name):
    """The name as both engines would give it: Podman adds a registry to it."""
    name = name.removeprefix("docker.io/").removeprefix("library/").removeprefix("localhost/")
    return full_name(name)
