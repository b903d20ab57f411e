"""What a chart says in words: its title, its alt, its table, and the form that is always true."""

from dataclasses import dataclass, replace

from labkit import builds, units, views
from labkit.chart_blocks import Block, blocks, clearly_largest, largest, layer_count
from labkit.errors import InputError
from labkit.words import _


@dataclass(frozen=True)
class Pile:
    """One image as a chart sees it: its name, its size and its blocks from the bottom."""

    name: str
    size_bytes: int
    blocks: tuple[Block, ...]

    @property
    def based(self) -> bool:
        """Whether it is known which of the blocks is the base."""
        return any(block.is_base for block in self.blocks)

    @property
    def count(self) -> int:
        """How many layers it has."""
        return sum(block.count for block in self.blocks if block.has_layer)


def pile(image, shared: int = 0) -> Pile:
    """The pile of a Build or History; `shared` of its layers another image has too.

    Raises InputError where there are no layers, as after a build that failed.
    """
    name = getattr(image, "tag", "") or getattr(image, "image", "") or _("image without a name")
    found = blocks(image, shared)
    if not found:
        raise InputError(
            _("{name} has no layers to draw.").format(name=name),
            _("The build gave no image, or the image is empty."),
            _("Repair the step that failed and build again."),
        )
    return Pile(name, image.size_bytes, found)


def below(one: Pile) -> str:
    """The line under the title."""
    order = _("{layers}, to scale, the oldest at the bottom")
    text = order if one.count > 1 else _("{layers}, to scale")
    text = text.format(layers=layer_count(one.count))
    if largest(one.blocks) is None:
        return text
    bold = _("in bold: the largest above the base") if one.based else _("in bold: the largest")
    return f"{text}; {bold}"


def alt(one: Pile) -> str:
    """What the picture of one pile shows, in one or two sentences."""
    top = largest(one.blocks)
    first = _("{name} as a pile to scale: {layers}, {size} in all.").format(
        name=one.name, layers=layer_count(one.count), size=units.size(one.size_bytes)
    )
    if top is None:
        return first
    second = (
        _("The largest above the base: {text}, {size}, {share} % of the image.")
        if one.based
        else _("The largest: {text}, {size}, {share} % of the image.")
    )
    share, size = round(100 * top.size_bytes / one.size_bytes), units.size(top.size_bytes)
    return first + " " + second.format(text=views.short(top.text), size=size, share=share)


def rows(one: Pile) -> list[tuple]:
    """The table of one pile: number, instruction, size."""
    return [(n, views.code(block.text), size(block)) for n, block in enumerate(one.blocks, 1)]


def size(block: Block) -> str:
    """A block's size, or that it has none."""
    return units.size(block.size_bytes) if block.has_layer else _("metadata, no layer")


def plain(one: Pile) -> str:
    """The pile in words that hold for each base and each builder; a History has only the title."""
    own = [block for block in one.blocks if block.instruction]
    if not own:
        return _("Layers of {name}").format(name=one.name)
    lines = [_("Layers of {name}, from the bottom:").format(name=one.name)]
    lines.append(views.text_table([(_stable(block), _kind(block)) for block in own]))
    top = clearly_largest(one.blocks)
    if top:
        lines.append(_("the largest above the base: {text}").format(text=_stable(top)))
    return "\n".join(lines)


def _stable(block):
    return views.short(block.instruction.text if block.instruction else block.text)


def _kind(block):
    if block.is_base:
        return _("base")
    return _("metadata") if block.instruction.is_metadata else ""


@dataclass(frozen=True)
class Pair:
    """Two piles, and how many bytes they share."""

    a: Pile
    b: Pile
    shared_bytes: int

    @property
    def names(self) -> dict:
        """The two names, and the bytes that only one has, as the sentences need them."""
        return {
            "a": self.a.name,
            "b": self.b.name,
            "shared": units.size(self.shared_bytes),
            "only_a": units.size(self.a.size_bytes - self.shared_bytes),
            "only_b": units.size(self.b.size_bytes - self.shared_bytes),
        }


def pair(a, b) -> Pair:
    """The pair of two Builds or Histories; equal names get a number.

    A row without a layer has no digest: it is shared where those below it are and both have it.
    """
    common = builds.compare(a, b)
    first, second = pile(a, len(common.shared)), pile(b, len(common.shared))
    if first.name == second.name:
        first, second = _numbered(first, 1), _numbered(second, 2)
    agreed = _agreed(first, second), _agreed(second, first)
    return Pair(*agreed, sum(layer.size_bytes for layer in common.shared))


def _numbered(one, number):
    return replace(one, name=f"{one.name} ({number})")


def _agreed(one, other):
    both = {block.text for block in other.blocks if block.shared}
    found = [
        block if block.has_layer or block.text in both else replace(block, shared=False)
        for block in one.blocks
    ]
    return replace(one, blocks=tuple(found))


def pair_title(two: Pair) -> str:
    """How much is shared and how much is of one alone."""
    text = _("{shared} shared; only in {a}: {only_a}, only in {b}: {only_b}")
    short = {"a": views.short(two.a.name, 24), "b": views.short(two.b.name, 24)}
    return text.format(**{**two.names, **short})


def pair_alt(two: Pair) -> str:
    """What the picture of two piles shows, in two sentences."""
    sizes = {"size_a": units.size(two.a.size_bytes), "size_b": units.size(two.b.size_bytes)}
    return _(
        "Two piles to one scale: {a} with {size_a} and {b} with {size_b}. They share {shared} "
        "from the bottom; {only_a} are only in {a} and {only_b} only in {b}."
    ).format(**two.names, **sizes)


def pair_rows(two: Pair) -> list[tuple]:
    """The table of two piles: number, instruction, size, which of them has it."""
    shared = [(block, _("both")) for block in two.a.blocks if block.shared]
    own = [(block, one.name) for one in (two.a, two.b) for block in one.blocks if not block.shared]
    return [
        (n, views.code(block.text), size(block), where)
        for n, (block, where) in enumerate([*shared, *own], 1)
    ]


def pair_plain(two: Pair) -> str:
    """The comparison in words that hold for each base and each builder."""
    title = _("{a} and {b}, layers from the bottom").format(a=two.a.name, b=two.b.name)
    shared = [(block, _("shared")) for block in two.a.blocks if block.shared]
    own = [
        (block, _("only in {name}").format(name=one.name))
        for one in (two.a, two.b)
        for block in one.blocks
        if not block.shared
    ]
    known = [
        (_stable(block), _kind(block) if block.instruction.is_metadata else where)
        for block, where in [*shared, *own]
        if block.instruction
    ]
    return f"{title}:\n{views.text_table(known)}" if known else title
