"""The one name that an image has in packs, however records spell its path."""

from __future__ import annotations

import os
import re

from preprocess.fields import FieldFault
from preprocess.shown import shown

UNUSUAL = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\0")
"""What only keys that are not in normal form have: an empty part, ``.`` or ``..``."""


def normal_key(key: str, root: str, where: str) -> str:
    """A path relative to the image root, without ``.``, ``..`` and doubled slashes.

    An absolute path inside the root becomes relative. Nothing is looked up on disk: links keep
    their names.

    Args:
        root: the image root, absolute.
        where: the record that names the image.

    Raises:
        FieldFault: the path leads out of the image root.
    """
    if not UNUSUAL.search(key):
        return key
    if "\0" in key:
        raise FieldFault(where, f"image {shown(key)} cannot be read (its name holds a NUL)")
    path = os.path.normpath(os.path.join(root, key))
    inside = root if root.endswith(os.sep) else root + os.sep
    if path == root:
        raise FieldFault(where, f"image {shown(key)} names no file")
    if not path.startswith(inside):
        raise FieldFault(
            where,
            f"image {key} lies outside of {root}: name a folder that holds all images with "
            "--image-root",
        )
    return path[len(inside) :]
