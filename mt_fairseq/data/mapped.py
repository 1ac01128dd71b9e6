"""Arrays of an HDF5 file mapped into memory: opened in microseconds, shared by all workers.

Everything in a data-bin is stored contiguously and uncompressed, so a dataset is one range of
bytes of its file, and the operating system's page cache serves every process alike.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mt_fairseq.errors import UserError


def open_h5(path: Path) -> h5py.File:
    """Open for reading; UserError if it is missing, cut off, or no HDF5 file."""
    try:
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError(f"{path}: the file is missing; write the data-bin again") from error
    except OSError as error:
        raise UserError(f"{path}: damaged or no HDF5 file; write the data-bin again") from error


class MappedFile:
    """Read-only view of a file's bytes; give each dataset as an ndarray without copying."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as stream:
            self.buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self.path = path

    def array(self, dataset: h5py.Dataset) -> np.ndarray[Any, Any]:
        """The whole of a contiguous dataset; its pages are read when touched."""
        shape, dtype = dataset.shape, dataset.dtype
        start = dataset.id.get_offset()
        if start is None:  # nothing stored: HDF5 gives empty datasets no place
            return np.empty(shape, dtype)
        count = int(np.prod(shape, dtype=np.int64))
        if start + count * dtype.itemsize > len(self.buffer):
            raise UserError(f"{self.path}: the file is cut off; write the data-bin again")
        flat = np.frombuffer(self.buffer, dtype, count, start)
        if not flat.flags.aligned:  # written by other software; ours aligns
            flat = flat.copy()
        return flat.reshape(shape)


def create_h5(path: Path) -> h5py.File:
    """Open for writing, every dataset at a multiple of 8 bytes, so that it can be mapped."""
    return h5py.File(path, "w", alignment_threshold=1, alignment_interval=8)


def write_array(parent: h5py.Group, name: str, values: np.ndarray[Any, Any]) -> None:
    """Store one array contiguously, little-endian, without times (equal content, equal bytes)."""
    values = np.asarray(values)
    parent.create_dataset(name, data=values.astype(values.dtype.newbyteorder("<"), copy=False))
