"""Columns of several splits, one after the other, as one column."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np

from mt_fairseq.data.columns import Array, ColumnReader, offsets_of
from mt_fairseq.data.mapped import write_array

OFFSETS = {"offset", "row"}


def alike(readers: Sequence[ColumnReader]) -> bool:
    """Whether columns have the same kind, types and number of values a row."""
    first = _form(readers[0])
    return all(_form(reader) == first for reader in readers)


def _form(reader: ColumnReader) -> tuple[str, dict[str, tuple[str, tuple[int, ...]]]]:
    return reader.kind, {name: (str(x.dtype), x.shape[1:]) for name, x in reader.parts.items()}


class JoinedColumn:
    """Rows of :func:`alike` columns end to end; written like a growing column."""

    def __init__(self, readers: Sequence[ColumnReader]) -> None:
        self.readers = readers

    def write(self, file: h5py.File, name: str) -> None:
        """Store the column as its parts are stored."""
        kind = self.readers[0].kind
        if kind == "array":
            write_array(file, name, self._part("values"))
            return
        group = file.create_group(name)
        group.attrs["kind"] = kind
        for part in self.readers[0].parts:
            write_array(group, part, self._part(part))

    def _part(self, name: str) -> Array:
        parts = [reader.parts[name] for reader in self.readers]
        if name in OFFSETS:
            return offsets_of(np.concatenate([np.diff(part) for part in parts]))
        return np.concatenate(parts)


class ArrayColumn:
    """A column of plain numbers that is there as a whole."""

    def __init__(self, values: Array) -> None:
        self.values = values

    def write(self, file: h5py.File, name: str) -> None:
        """One plain dataset."""
        write_array(file, name, self.values)
