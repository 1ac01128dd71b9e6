"""Columns while they grow: compact buffers, one class a kind, chosen by the first value."""

from __future__ import annotations

from array import array
from typing import Protocol

import h5py
import numpy as np

from mt_fairseq.data.columns import TextBuffer, Value, offsets_of
from mt_fairseq.data.mapped import write_array
from mt_fairseq.errors import UserError


class Buffer(Protocol):
    """A growing column."""

    def add(self, value: Value) -> None:
        """Append one row."""

    def write(self, file: h5py.File, name: str) -> None:
        """Store the column."""


class NumberBuffer:
    """(n,) of int64 or float64, or (n, k) of the same where rows are fixed-length sequences."""

    def __init__(self, code: str, width: int | None = None) -> None:
        self.values = array(code)
        self.width = width

    def add(self, value: Value) -> None:
        """Append a number or ``width`` numbers."""
        if self.width is None:
            self.values.append(value)  # type: ignore[arg-type]
        else:
            numbers = np.asarray(value).tolist()
            if len(numbers) != self.width:
                raise UserError(f"a row of {len(numbers)} numbers among rows of {self.width}")
            self.values.extend(numbers)

    def write(self, file: h5py.File, name: str) -> None:
        """One plain dataset."""
        values = np.array(self.values)
        write_array(file, name, values if self.width is None else values.reshape(-1, self.width))


class TextColumn:
    """One string a row."""

    def __init__(self) -> None:
        self.texts = TextBuffer()

    def add(self, value: Value) -> None:
        """Append a string."""
        self.texts.add(str(value))

    def write(self, file: h5py.File, name: str) -> None:
        """A group with ``bytes`` and ``offset``."""
        group = file.create_group(name)
        group.attrs["kind"] = "text"
        self.texts.write(group)


class TextsColumn:
    """Any count of strings a row."""

    def __init__(self) -> None:
        self.texts = TextBuffer()
        self.lengths = array("q")

    def add(self, value: Value) -> None:
        """Append a list of strings."""
        for text in value:  # type: ignore[union-attr]
            self.texts.add(str(text))
        self.lengths.append(len(value))  # type: ignore[arg-type]

    def write(self, file: h5py.File, name: str) -> None:
        """A group with ``bytes``, ``offset`` and ``row``."""
        group = file.create_group(name)
        group.attrs["kind"] = "texts"
        self.texts.write(group)
        write_array(group, "row", offsets_of(self.lengths))


class RaggedColumn:
    """Any count of numbers a row."""

    def __init__(self, dtype: type) -> None:
        self.dtype = np.dtype(dtype)
        self.values = array("d" if self.dtype.kind == "f" else "q")
        self.lengths = array("q")

    def add(self, value: Value) -> None:
        """Append a sequence of numbers."""
        numbers = np.asarray(value).tolist()
        self.values.extend(numbers)
        self.lengths.append(len(numbers))

    def write(self, file: h5py.File, name: str) -> None:
        """A group with ``values`` and ``row``."""
        group = file.create_group(name)
        group.attrs["kind"] = "ragged"
        write_array(group, "values", np.array(self.values).astype(self.dtype))
        write_array(group, "row", offsets_of(self.lengths))
