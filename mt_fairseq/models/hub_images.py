"""The kinds of images that the Python interface takes, and the one way from each to RGB."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mt_fairseq.data.decode import decode_image, shown
from mt_fairseq.data.pixels import from_array
from mt_fairseq.errors import UserError

ImageInput = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | Image.Image
    | NDArray[Any]
    | Tensor
)
KINDS = (
    "give a path, encoded bytes, a file opened with 'rb', a Pillow image, "
    "an array (H, W, 3) or a tensor (3, H, W)"
)


@dataclass(frozen=True)
class GivenImage:
    """One image as the user gave it.

    Attributes:
        name: what errors call it.
        source: a path that exists, encoded bytes, or an image in memory.
    """

    name: str
    source: Path | bytes | Image.Image | NDArray[Any] | Tensor

    def rgb(self, min_side: int | None = None) -> Image.Image:
        """The image in RGB as a person sees it.

        Args:
            min_side: as for ``decode_image``.

        Raises UserError for a damaged file, and for pixels that could mean several things.
        """
        source = self.source
        if isinstance(source, Image.Image):
            return shown(source, self.name)
        if isinstance(source, bytes):
            return decode_image(source, self.name, min_side)
        if isinstance(source, Path):
            return decode_image(_read_file(source), self.name, min_side)
        try:
            image = from_array(_as_array(source) if isinstance(source, Tensor) else source)
        except UserError as error:
            raise UserError(f"{self.name}: {error}") from error
        return shown(image, self.name)


def is_image(given: Any) -> bool:
    """Whether it is of a kind that is one image (a list is several)."""
    in_memory = (bytes, bytearray, memoryview, Image.Image, np.ndarray, Tensor, GivenImage)
    return isinstance(given, (str, os.PathLike, *in_memory)) or hasattr(given, "read")


def take_image(given: Any, name: str) -> GivenImage:
    """One image, its kind checked; files are found, and open ones read.

    Args:
        name: what errors call it where it has no name of its own.

    Raises UserError for something else, and for a path without a file.
    """
    if not is_image(given):
        raise UserError(f"{name}: {type(given).__name__} is not an image; {KINDS}")
    if isinstance(given, GivenImage):
        return given
    if isinstance(given, (str, os.PathLike)):
        path = Path(os.fsdecode(given))
        _find_file(path)
        return GivenImage(str(path), path)
    if isinstance(given, (bytes, bytearray, memoryview)):
        return GivenImage(name, bytes(given))
    if isinstance(given, (Image.Image, np.ndarray, Tensor)):
        return GivenImage(name, given)
    own = getattr(given, "name", None)
    name = own if isinstance(own, str) else name
    return GivenImage(name, _read_stream(given, name))


def _find_file(path: Path) -> None:
    try:
        is_folder = path.stat() and path.is_dir()
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        raise UserError(f"{path}: can't be read ({_reason(error)})") from error
    if is_folder:
        raise UserError(f"{path}: is a folder, not an image")


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: can't be read ({_reason(error)})") from error


def _read_stream(stream: Any, name: str) -> bytes:
    """All bytes of an open file, from its start where it can go there; its place is kept."""
    if isinstance(stream, io.TextIOBase):
        raise UserError(f"{name}: the file is opened as text; open it with 'rb'")
    try:
        if not getattr(stream, "seekable", lambda: False)():
            data = stream.read()
        else:
            place = stream.tell()
            stream.seek(0)
            data = stream.read()
            stream.seek(place)
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise UserError(f"{name}: can't be read ({_reason(error)})") from error
    if not isinstance(data, bytes):
        raise UserError(f"{name}: reading gives {type(data).__name__}, not bytes; {KINDS}")
    return data


def _as_array(tensor: Tensor) -> NDArray[Any]:
    """(C, H, W) or (H, W) on any device -> (H, W, C) or (H, W)."""
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4)):
        raise UserError(
            f"a tensor of shape {tuple(tensor.shape)}: one image is (H, W) or (C, H, W), "
            "C = 1, 3 or 4; of several, give a list"
        )
    if tensor.dtype == torch.bfloat16:  # unknown to NumPy
        tensor = tensor.float()
    try:
        array: NDArray[Any] = tensor.detach().cpu().numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:  # a sparse one, one of no data
        raise UserError(f"a tensor without pixels ({_reason(error)}); {KINDS}") from error
    return array if array.ndim == 2 else array.transpose(1, 2, 0)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).splitlines()[0] if text else type(error).__name__
