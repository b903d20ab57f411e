"""The archive of `docker save` -> a layer's own tar.

Up to engine 24 the archive has `<id>/layer.tar`, later ones an OCI layout with
`blobs/sha256/<digest>`; both have `manifest.json` with the layers in the order of the image
config's diff_ids (moby/moby, image/tarexport). The containerd store may compress its blobs.
"""

import gzip
import json
import posixpath
import shutil
import tarfile

from labkit.errors import InputError
from labkit.words import _

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def layer(archive: tarfile.TarFile, digest: str):
    """The layer with this diff_id as an open file that holds its uncompressed tar.

    Raises InputError where the image has no such layer or it is packed in an unknown way.
    """
    count = 0
    for image in json.load(archive.extractfile("manifest.json")):
        digests = json.load(archive.extractfile(image["Config"]))["rootfs"]["diff_ids"]
        if digest in digests:
            name = image["Layers"][digests.index(digest)]
            return _unpacked(archive.extractfile(_member(archive, name)))
        count += len(digests)
    raise InputError(
        _("The image has no layer {digest}.").format(digest=digest),
        _("It has {count} layers.").format(count=count),
        _("Take one of build.layers, of the same image."),
    )


def save(archive: tarfile.TarFile, digest: str, path) -> None:
    """Write the layer's uncompressed tar to a file."""
    with layer(archive, digest) as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _member(archive, name):
    """The member of this name; equal layers are one file and links to it."""
    member = archive.getmember(name)
    while member.issym():
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
        member = archive.getmember(name)
    return member


def _unpacked(file):
    start = file.read(4)
    file.seek(0)
    if start == _ZSTD:
        raise InputError(
            _("This layer is packed with zstd, which labkit does not read."),
            next_step=_("Unpack it in a terminal: zstd -d"),
        )
    return gzip.open(file) if start.startswith(_GZIP) else file
