"""All images of a data-bin behind one index."""

from __future__ import annotations

import bisect
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mt_fairseq.data.decode import decode_image
from mt_fairseq.data.files import make_room_for_files
from mt_fairseq.data.image_pack import PackReader
from mt_fairseq.errors import UserError

FILES_A_PACK = 2  # an open one: its mapped indexes and the descriptor for its bytes


class ImageStore:
    """Images by global index, 0 to ``len - 1``, over all packs in order.

    Picklable and safe across forks: every process opens the packs for itself, on first use.

    Args:
        paths: pack files in order.
        counts: number of images in each; read from the packs if None.
        prefixes: what the keys of each pack begin with, so that keys of merged data-bins differ.
    """

    def __init__(
        self,
        paths: list[Path],
        counts: list[int] | None = None,
        prefixes: list[str] | None = None,
    ) -> None:
        make_room_for_files(FILES_A_PACK * len(paths))
        self.packs = [PackReader(path) for path in paths]
        self.prefixes = prefixes or [""] * len(paths)
        if counts is None:
            counts = [len(pack) for pack in self.packs]
        self.starts = [0, *np.cumsum(counts).tolist()]

    def __len__(self) -> int:
        return int(self.starts[-1])

    def _pack_of(self, i: int) -> int:
        if not 0 <= i < self.starts[-1]:
            raise IndexError(f"image {i} of {len(self)}")
        return bisect.bisect_right(self.starts, i) - 1

    def _locate(self, i: int) -> tuple[PackReader, int]:
        number = self._pack_of(i)
        return self.packs[number], i - self.starts[number]

    def key(self, i: int) -> str:
        """What image ``i`` is called in its dataset."""
        number = self._pack_of(i)
        return self.prefixes[number] + self.packs[number].key(i - self.starts[number])

    def size(self, i: int) -> tuple[int, int]:
        """(height, width) of image ``i`` in pixels, as :meth:`image` gives it."""
        pack, row = self._locate(i)
        return pack.size(row)

    def raw(self, i: int) -> bytes:
        """Bytes of image ``i`` as stored."""
        # _locate written out: this is the one hot path, and a call costs a tenth of a read
        if not 0 <= i < self.starts[-1]:
            raise IndexError(f"image {i} of {len(self)}")
        pack = bisect.bisect_right(self.starts, i) - 1
        return self.packs[pack].raw(i - self.starts[pack])

    def image(self, i: int, min_side: int | None = None) -> Image.Image:
        """Image ``i`` decoded to RGB.

        Args:
            min_side: the JPEG decoder may shrink to not below this shorter side (pixels).

        Errors: UserError if the stored bytes are not those that were written.
        """
        pack, row = self._locate(i)
        data = pack.raw(row)
        if not pack.intact(row, data):
            raise UserError(
                f"{pack.path}: image {pack.key(row)} is damaged (checksum); write the data-bin "
                "again"
            )
        if pack.encoding == "pixels":
            height, width = pack.size(row)
            return Image.frombytes("RGB", (width, height), data)
        return decode_image(data, f"{pack.path}: {pack.key(row)}", min_side)

    def __getstate__(self) -> dict[str, Any]:
        return {"packs": self.packs, "prefixes": self.prefixes, "starts": self.starts}
