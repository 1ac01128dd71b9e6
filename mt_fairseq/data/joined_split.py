"""Several splits of a data-bin as one, so that training may take more than ``train``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mt_fairseq.data.columns import offsets_of
from mt_fairseq.data.split import Split
from mt_fairseq.errors import UserError

if TYPE_CHECKING:
    import torch


class JoinedSplit(Split):
    """The samples of all parts one after the other; columns are those that all parts have.

    Args:
        folder: the data-bin.
        names: the splits, in order.

    Raises:
        UserError: a split is named twice or not there, or samples differ in their images' number.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        if len(set(names)) < len(names):
            raise UserError(f"splits {','.join(names)}: one of them is named twice")
        self.folder = folder
        self.name = ",".join(names)
        self.parts = [Split(folder, name) for name in names]
        self.offsets = offsets_of([len(part) for part in self.parts])
        if len({part.image_column.shape[1] for part in self.parts}) > 1:
            raise UserError(
                f"{folder}: splits {self.name} can't be joined: their samples differ in how many "
                "images they have"
            )

    def _locate(self, i: int) -> tuple[Split, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"row {i} of {len(self)}")
        number = int(np.searchsorted(self.offsets, i, side="right")) - 1
        return self.parts[number], int(i - self.offsets[number])

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def text(self, i: int) -> torch.Tensor:
        part, row = self._locate(i)
        return part.text(row)

    @cached_property
    def text_lengths(self) -> np.ndarray[Any, Any]:
        return np.concatenate([part.text_lengths for part in self.parts])

    @cached_property
    def image_column(self) -> np.ndarray[Any, Any]:
        return np.concatenate([part.image_column for part in self.parts])

    def sample_id(self, i: int) -> str | int:
        part, row = self._locate(i)
        return part.sample_id(row)

    @property
    def columns(self) -> list[str]:
        return [
            name for name in self.parts[0].columns if all(name in p.columns for p in self.parts)
        ]

    def value(self, column: str, i: int) -> Any:
        part, row = self._locate(i)
        return part.value(column, row)

    def value_or(self, column: str, i: int, default: Any) -> Any:
        part, row = self._locate(i)
        return part.value_or(column, row, default)

    def array(self, column: str) -> np.ndarray[Any, Any]:
        return np.concatenate([part.array(column) for part in self.parts])
