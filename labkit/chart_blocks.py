"""Layers -> `Block`s: what a chart draws, one an instruction, the base image joined in one.

Pure: no drawing, no text of a chart but the names of blocks.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import groupby

from labkit import views
from labkit.dockerfile import KEYWORDS, Instruction
from labkit.words import _, ngettext

ROWS = 40  # Labels that fit on one slide; above that, what is too thin to be seen is gathered.
SHARES = (1 / 2000, 1 / 1000, 1 / 500, 1 / 250)  # of the image; the last is 2 points of a pile.


@dataclass(frozen=True)
class Block:
    """A part of the pile: an instruction and the bytes that it added.

    `keyword` is empty where `count` layers are gathered or nothing tells it. `has_layer` is
    false for metadata. `instruction` is None where no instruction of the Dockerfile made it.
    `shared` is whether another image has it too (see `builds.compare`).
    """

    text: str
    keyword: str
    size_bytes: int
    has_layer: bool
    instruction: Instruction | None = None
    shared: bool = False
    count: int = 1

    @property
    def is_base(self) -> bool:
        """Whether it is the base image's, as far as a Dockerfile tells."""
        return self.keyword == "FROM" and self.instruction is not None


def blocks(image, shared: int = 0) -> tuple[Block, ...]:
    """The blocks of a Build or History, oldest first.

    `shared` is how many of its layers, from the bottom, another image has too. The rows of the
    base become one block; two, where the other image has only the lower ones.
    """
    recording = getattr(image, "recording", None)
    stands_in = recording.stands_in if recording else {}
    marked = list(zip(image.layers, _shared(image.layers, shared)))
    grouped = groupby(enumerate(marked), key=_part)
    return tuple(_block([pair for _n, pair in group], stands_in) for _key, group in grouped)


def _shared(layers, count):
    """For each row whether it is in the `count` lowest layers; metadata is as the row below it."""
    states, state = [], count > 0
    for layer in layers:
        if layer.digest:
            state, count = count > 0, count - 1
        states.append(state)
    return states


def _part(numbered):
    number, (layer, shared) = numbered
    is_base = layer.instruction is not None and layer.instruction.keyword == "FROM"
    return (True, shared) if is_base else number


def _block(pairs, stands_in):
    layer, shared = pairs[0]
    if layer.instruction is None:
        text = " ".join(layer.created_by.split()) or _("(imported)")
        word = text.split(" ", 1)[0].upper()
        keyword = word if word in KEYWORDS else ""
    else:
        text = views.instruction(layer.instruction, stands_in)
        keyword = layer.instruction.keyword
    layers = [each for each, _shared in pairs]
    return Block(
        text=text,
        keyword=keyword,
        size_bytes=sum(each.size_bytes for each in layers),
        has_layer=any(each.has_layer is not False for each in layers),
        instruction=layer.instruction,
        shared=shared,
        count=sum(each.has_layer is not False for each in layers),
    )


def largest(found) -> Block | None:
    """The largest block above the base.

    None where none is (two are as large), and where it is not worth a word: at most half a
    percent of the image.
    """
    total, (first, second) = sum(block.size_bytes for block in found), _two_largest(found)
    return first if first and first.size_bytes > max(second, total / 200) else None


def _two_largest(found):
    """The largest block above the base or None, and how many bytes the next has."""
    own = sorted((b for b in found if not b.is_base), key=lambda b: -b.size_bytes)
    return (own[0] if own else None), (own[1].size_bytes if own[1:] else 0)


def clearly_largest(found) -> Block | None:
    """The largest above the base if each engine would say so, else None.

    Engines count in their own ways (bytes, blocks on disk, tars): what is under 5 % and 64 kB
    ahead of the next may be the second elsewhere.
    """
    first, second = _two_largest(found)
    ahead = first.size_bytes - second if first else 0
    return first if ahead > max(0.05 * second, 65_536) else None


def layer_count(count: int) -> str:
    """A number of layers in words."""
    return ngettext("{count} layer", "{count} layers", count).format(count=count)


def gather(found: tuple[Block, ...], rows: int = ROWS) -> tuple[Block, ...]:
    """The blocks, with runs of too thin ones made one block each where there are more than `rows`.

    No order is changed, the base is never gathered, nor is what is thicker than 1/250 of the
    image: a picture of many thick layers has many rows.
    """
    total = sum(block.size_bytes for block in found)
    gathered = found
    for share in SHARES:
        if len(gathered) <= rows:
            break
        gathered = _gathered(found, total * share)
    return gathered


def _gathered(found, limit_bytes):
    result = []
    for (thin, _same), run in groupby(found, lambda b: _thin(b, limit_bytes)):
        run = list(run)
        result.extend([_together(run)] if thin and len(run) > 1 else run)
    return tuple(result)


def _thin(block, limit_bytes):
    return not block.is_base and block.size_bytes <= limit_bytes, block.shared


def _together(run):
    real = [block for block in run if block.has_layer]
    return Block(
        text=_names(run, real),
        keyword=real[0].keyword if len(real) == 1 else "",
        size_bytes=sum(block.size_bytes for block in run),
        has_layer=bool(real),
        shared=run[0].shared,
        count=sum(block.count for block in real),
    )


def _names(run, real):
    """Two are named as they are, in their order; of more, how many there are of each kind."""
    if len(run) == 2:
        return f"{run[0].text} + {run[1].text}"
    parts = []
    if real:
        layers = layer_count(sum(block.count for block in real))
        parts.append(_("{layers} together: {names}").format(layers=layers, names=_counted(real)))
    if len(real) < len(run):
        names = _counted(block for block in run if not block.has_layer)
        parts.append(_("metadata: {names}").format(names=names))
    return "; ".join(parts)


def _counted(found):
    counts = Counter(block.keyword or "?" for block in found)
    return ", ".join(f"{keyword} ×{count}" for keyword, count in counts.items())
