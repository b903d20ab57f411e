"""An image's history and layer digests -> `Layer`s, joined to the instructions that made them.

The engine's history has no `empty_layer` and no digest; its inspect has the digests
(`RootFS.Layers`, the diff_ids of the OCI image config) and no instructions. They are joined by
what each instruction is known to leave behind: the k-th row that has a layer is the k-th digest
(https://github.com/opencontainers/image-spec/blob/main/config.md, "history").
"""

from dataclasses import dataclass, replace

from labkit.dockerfile import KEYWORDS, Instruction

BUILDKIT_COMMENT = "buildkit.dockerfile.v0"


@dataclass(frozen=True)
class Layer:
    """One row of an image's history.

    `instruction` is None where no instruction of the Dockerfile made it; rows of the base image
    carry its FROM. `digest` is the diff_id, None for a row without a layer (metadata) or where
    the engine does not tell. `has_layer` is None where that cannot be known. `size_bytes` is
    the engine's own figure: Docker counts the bytes of files, its containerd store the blocks
    on disk, Podman the tar.
    """

    instruction: Instruction | None
    created_by: str
    size_bytes: int
    digest: str | None
    has_layer: bool | None


def rows(history, image: dict, layer_counts: dict | None = None) -> tuple[Layer, ...]:
    """The layers of an image, oldest first, with no instruction yet.

    `history` is newest first, as the engine gives it; `image` what its inspect says.
    """
    entries = list(reversed(history))
    digests = ((image or {}).get("RootFS") or {}).get("Layers") or []
    flags = _flags(entries, digests, layer_counts or {})
    taken, layers = iter(digests), []
    known = sum(flag is True for flag in flags) == len(digests)
    for entry, flag in zip(entries, flags):
        digest = next(taken, None) if flag and known else None
        command = clean(entry.get("CreatedBy") or "")
        has_layer = flag if known or entry.get("Size") else None
        layers.append(Layer(None, command, entry.get("Size") or 0, digest, has_layer))
    return tuple(layers)


def _flags(entries, digests, counts):
    """For each row whether it has a layer; the doubtful ones have, where that makes the count."""
    flags = [_flag(entry, previous, counts) for previous, entry in zip([None, *entries], entries)]
    if flags.count(True) + flags.count(None) == len(digests):
        return [True if flag is None else flag for flag in flags]
    return [bool(flag) for flag in flags]


def _flag(entry, previous, counts):
    if entry.get("Size"):
        return True
    text = entry.get("CreatedBy") or ""
    before = counts.get((previous or {}).get("Id"))
    own = counts.get(entry.get("Id"))
    if own is not None and before is not None:
        return own > before
    if text.startswith(("RUN", "COPY", "ADD")):
        return True
    if text.startswith("WORKDIR"):
        return text.strip() != "WORKDIR /"
    if "#(nop) COPY" in text or "#(nop) ADD" in text:
        return True
    if "#(nop)" in text or entry.get("Comment") == BUILDKIT_COMMENT:
        return None if "WORKDIR" in text else False
    return None


def clean(created_by: str) -> str:
    """The row's command as the Dockerfile would say it.

    >>> clean("/bin/sh -c #(nop)  ENV G=hi"), clean("|1 V=1 /bin/sh -c make # buildkit")
    ('ENV G=hi', 'RUN make')
    >>> clean("/bin/sh -c apt-get update"), clean("COPY a.txt /app/ # buildkit")
    ('RUN apt-get update', 'COPY a.txt /app/')
    """
    text = created_by.removesuffix(" # buildkit").strip()
    if "#(nop)" in text:
        return text.split("#(nop)", 1)[1].strip()
    head = text.removeprefix("RUN ")
    if head.startswith(("/", "|")):  # The classic builder's RUN has no keyword, but a shell.
        return "RUN " + head.split("/bin/sh -c ", 1)[-1].strip()
    return text


def join(layers: tuple[Layer, ...], chain: tuple[Instruction, ...]) -> tuple[Layer, ...]:
    """The layers with their instructions: the last rows are the stage's, the first its base's.

    `chain` is `Dockerfile.chain`. Where a row does not fit its instruction, it and all below it
    get None. ONBUILD has a row in the classic builder, none in BuildKit.
    """
    own, joined = [i for i in chain if i.keyword != "FROM"], []
    remaining = list(layers)
    while own and remaining:
        instruction = own.pop()
        if instruction.keyword == "ONBUILD" and not _fits(remaining[-1], instruction):
            continue
        layer = remaining.pop()
        if not _fits(layer, instruction):
            return (*remaining, layer, *reversed(joined))
        joined.append(replace(layer, instruction=instruction))
    base = [replace(layer, instruction=chain[0]) for layer in remaining]
    return (*base, *reversed(joined))


def _fits(layer, instruction):
    """A RUN in the exec form has no keyword in the classic builder's history."""
    keyword = layer.created_by.split(" ", 1)[0]
    bare = instruction.keyword == "RUN" and instruction.json and keyword not in KEYWORDS
    return keyword.upper() == instruction.keyword or bare or not layer.created_by
