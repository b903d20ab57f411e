"""`History`: the rows of `docker history`, each with the digest of its layer."""

from dataclasses import dataclass

from labkit import layers, units, views
from labkit.layers import Layer
from labkit.words import _


@dataclass(frozen=True, repr=False)
class History:
    """An image's layers, oldest first; those of the base image have no instruction here."""

    image: str
    layers: tuple[Layer, ...]

    def __repr__(self):
        return f"<History {self.image}: {len(self.layers)} rows>"

    def __str__(self):
        rows = [(units.size(x.size_bytes), _digest(x), _command(x)) for x in reversed(self.layers)]
        return text(self) + "\n" + views.text_table(rows)

    def __len__(self):
        return len(self.layers)

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self.layers)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": text(self), "text/html": page(self)}


def read(facts: dict, image: str) -> History:
    """The history in what `builders.describe` gives."""
    return History(image, layers.rows(facts["history"], facts["image"], facts["layer_counts"]))


def text(history: History) -> str:
    """What a lesson keeps of it: the rows of the base image differ from machine to machine."""
    return _("History of {image}: the newest row first").format(image=history.image)


def page(history: History) -> str:
    """The history as HTML, newest first."""
    head = (_("made by"), _("size"), _("layer"))
    rows = [
        (views.code(_command(layer)), units.size(layer.size_bytes), views.code(_digest(layer)))
        for layer in reversed(history.layers)
    ]
    return views.box(views.paragraph(text(history)), views.table(head, rows, right=(1,)))


def _command(layer):
    return views.short(layer.created_by or _("(imported)"), 100)


def _digest(layer):
    if layer.has_layer is False:
        return _("metadata")
    return layer.digest[7:19] if layer.digest else "–"
