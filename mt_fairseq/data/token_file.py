"""Token ids in fairseq's memory-mapped format (``.bin`` and ``.idx``), written as a stream.

Layout as fairseq's ``MMapIndexedDataset`` reads it: the index holds a magic string, version 1, a
code for the integer type, the number of texts, their lengths (int32) and their byte offsets
(int64); the other file holds the ids end to end. Written here without importing torch, so that
preprocessing starts at once; a test reads the result with fairseq.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mt_fairseq.data.files import atomic_path
from mt_fairseq.errors import UserError

if TYPE_CHECKING:
    import torch

MAGIC = b"MMIDIDX\x00\x00"
CODES: dict[int, type] = {4: np.int32, 5: np.int64, 8: np.uint16, 9: np.uint32}
COPY_IDS = 1 << 22
HEADER = struct.Struct("<9sQBQ")


def id_type(num_symbols: int) -> type:
    """The narrowest integer type that fairseq would take for ids below ``num_symbols``."""
    return np.uint16 if num_symbols < 65500 else np.uint32


class TokenWriter:
    """Write texts one by one to ``PREFIX.bin``; :meth:`close` adds ``PREFIX.idx``."""

    def __init__(self, stream: Any, num_symbols: int) -> None:
        self.stream = stream
        self.dtype = np.dtype(id_type(num_symbols))
        self.lengths = array("i")

    def add(self, ids: Sequence[int]) -> None:
        """Append one text's ids."""
        self.stream.write(np.asarray(ids, dtype=self.dtype).tobytes())
        self.lengths.append(len(ids))

    def extend(self, texts: TokenFile) -> None:
        """Append all texts of a file."""
        for start in range(0, len(texts.content), COPY_IDS):
            block = texts.content[start : start + COPY_IDS]
            self.stream.write(block.astype(self.dtype, copy=False).tobytes())
        self.lengths.frombytes(texts.sizes.astype(np.int32).tobytes())

    def write_index(self, path: Path) -> None:
        """Write the ``.idx`` file for what was added."""
        lengths = np.array(self.lengths, dtype=np.int32)
        starts = np.zeros(len(lengths), dtype=np.int64)
        np.cumsum(lengths[:-1], dtype=np.int64, out=starts[1:])
        code = next(c for c, kind in CODES.items() if np.dtype(kind) == self.dtype)
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            stream.write(HEADER.pack(MAGIC, 1, code, len(lengths)))
            stream.write(lengths.tobytes())
            stream.write((starts * self.dtype.itemsize).tobytes())


class TokenFile:
    """Texts of a split as int64 tensors; memory-mapped, picklable, opened on first use."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self._ids: np.ndarray[Any, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "_ids": None}

    def _open(self) -> np.ndarray[Any, Any]:
        index = self.prefix.with_name(self.prefix.name + ".idx")
        content = self.prefix.with_name(self.prefix.name + ".bin")
        for path in (index, content):
            if not path.is_file():
                raise UserError(f"{path}: the file is missing; write the data-bin again")
        with open(index, "rb") as stream:
            head = stream.read(HEADER.size)
        if len(head) < HEADER.size or not head.startswith(MAGIC):
            raise UserError(f"{index}: not an index in fairseq's mmap format")
        _, _, code, count = HEADER.unpack(head)
        if index.stat().st_size < HEADER.size + 12 * count:
            raise UserError(f"{index}: the file is cut off; write the data-bin again")
        self.lengths = np.zeros(0, np.int32)
        self.byte_starts = np.zeros(1, np.int64)  # as stored: divided here, they'd be a copy
        if count:
            # plain arrays over the maps: a memmap's every slice is a memmap, made in slow Python
            self.lengths = np.asarray(np.memmap(index, np.int32, "r", HEADER.size, (count,)))
            pointers = HEADER.size + 4 * count
            self.byte_starts = np.asarray(np.memmap(index, np.int64, "r", pointers, (count,)))
        dtype = np.dtype(CODES[code])
        end = int(self.byte_starts[-1])
        if count:
            end += int(self.lengths[-1]) * dtype.itemsize
        if content.stat().st_size < end:
            raise UserError(f"{content}: the file is cut off; write the data-bin again")
        self._ids = np.asarray(np.memmap(content, dtype, "r")) if end else np.zeros(0, dtype)
        return self._ids

    def __len__(self) -> int:
        if self._ids is None:
            self._open()
        return len(self.lengths)

    @property
    def sizes(self) -> np.ndarray[Any, Any]:
        """(n,) int32: number of ids of each text."""
        if self._ids is None:
            self._open()
        return self.lengths

    @property
    def content(self) -> np.ndarray[Any, Any]:
        """Ids of all texts end to end, mapped."""
        return self._ids if self._ids is not None else self._open()

    def array(self, i: int) -> np.ndarray[Any, Any]:
        """Ids of text ``i`` as int64 (a copy)."""
        content = self.content
        start = int(self.byte_starts[i]) // content.itemsize
        return content[start : start + int(self.lengths[i])].astype(np.int64)

    def tensor(self, i: int) -> torch.Tensor:
        """Ids of text ``i`` as an int64 tensor (T,)."""
        import torch

        return torch.from_numpy(self.array(i))
