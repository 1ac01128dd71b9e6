"""Columns of a split: one row a sample, stored contiguously in one HDF5 file.

Kinds: ``array`` (one dataset, (n,) or (n, k) numbers), ``text`` (UTF-8 end to end with offsets),
``ragged`` (any count of numbers a row), ``texts`` (any count of strings a row).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mt_fairseq.data.files import atomic_path
from mt_fairseq.data.mapped import MappedFile, create_h5, open_h5, write_array

ANSWER_WEIGHT = "answer_weight"
"""The column of what a question's answers count in ALBEF's VQA; 1 where a split has none."""

Array = np.ndarray[Any, Any]
Value = int | float | str | list[str] | Array


def offsets_of(lengths: Sequence[int] | Array) -> Array:
    """Lengths (n,) to offsets (n + 1,) int64, starting at 0."""
    result = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(np.asarray(lengths, dtype=np.int64), out=result[1:])
    return result


class TextBuffer:
    """Strings of a growing column, kept as bytes and lengths instead of Python strings."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.lengths: list[int] = []

    def add(self, text: str) -> None:
        """Append one string."""
        data = text.encode()
        self.content += data
        self.lengths.append(len(data))

    def write(self, group: h5py.Group) -> None:
        """Store as datasets ``bytes`` and ``offset``."""
        write_array(group, "bytes", np.frombuffer(bytes(self.content), dtype=np.uint8))
        write_array(group, "offset", offsets_of(self.lengths))


class ColumnReader:
    """One column: ``len`` rows, ``reader[i]`` its value."""

    def __init__(self, mapped: MappedFile, node: h5py.Dataset | h5py.Group) -> None:
        self.kind = str(node.attrs.get("kind", "array"))
        self.parts: dict[str, Array] = {}
        if isinstance(node, h5py.Dataset):
            self.parts["values"] = mapped.array(node)
        else:
            self.parts = {name: mapped.array(node[name]) for name in node}

    def __len__(self) -> int:
        if self.kind == "array":
            return len(self.parts["values"])
        return len(self.parts["row" if "row" in self.parts else "offset"]) - 1

    def _string(self, i: int) -> str:
        begin, end = self.parts["offset"][i : i + 2]
        return self.parts["bytes"][begin:end].tobytes().decode()

    def __getitem__(self, i: int) -> Value:
        if not 0 <= i < len(self):
            raise IndexError(f"row {i} of {len(self)}")
        if self.kind == "text":
            return self._string(i)
        if self.kind == "array":
            value = self.parts["values"][i]
            return np.array(value) if value.ndim else value.item()
        begin, end = (int(x) for x in self.parts["row"][i : i + 2])
        if self.kind == "ragged":
            return np.array(self.parts["values"][begin:end])
        return [self._string(j) for j in range(begin, end)]


class ColumnFile:
    """All columns of a split; picklable, opened on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: dict[str, ColumnReader] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_columns": None}

    @property
    def columns(self) -> dict[str, ColumnReader]:
        """Readers by name."""
        if self._columns is None:
            with open_h5(self.path) as file:
                mapped = MappedFile(self.path)
                self._columns = {name: ColumnReader(mapped, file[name]) for name in file}
        return self._columns


def write_columns(path: Path, columns: dict[str, Any]) -> None:
    """Write columns (objects of ``column_buffers``) to one file, atomically."""
    with atomic_path(path) as temporary, create_h5(temporary) as file:
        for name in sorted(columns):
            columns[name].write(file, name)
