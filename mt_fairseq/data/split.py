"""One split of a data-bin: texts, images and columns of its samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mt_fairseq.data.columns import ColumnFile, ColumnReader
from mt_fairseq.data.token_file import TokenFile
from mt_fairseq.errors import UserError

if TYPE_CHECKING:
    import torch

STRUCTURAL = ("sample_id", "image")


class Split:
    """Samples 0 to ``len - 1`` in the order of the raw files.

    Memory-mapped, picklable, safe across forks, opened on first use. No Python list grows with
    the number of samples.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.tokens = TokenFile(folder / f"{name}.text")
        self.file = ColumnFile(folder / f"{name}.h5")

    def __len__(self) -> int:
        return len(self.tokens)

    def text(self, i: int) -> torch.Tensor:
        """Ids of the text (T,) int64, without special tokens."""
        return self.tokens.tensor(i)

    @property
    def text_lengths(self) -> np.ndarray[Any, Any]:
        """(n,) int32: ids of each text, special tokens not counted."""
        return self.tokens.sizes

    @property
    def image_column(self) -> np.ndarray[Any, Any]:
        """(n, K) int64: global image indices."""
        return self._column("image").parts["values"]

    def images(self, i: int) -> np.ndarray[Any, Any]:
        """(K,) int64: global image indices of sample ``i``."""
        return np.array(self.image_column[i])

    def sample_id(self, i: int) -> str | int:
        """What the dataset calls the sample (VQA: the question id)."""
        value: Any = self._column("sample_id")[i]
        return value if isinstance(value, str) else int(value)

    @property
    def columns(self) -> list[str]:
        """Names of the columns beside text, images and sample id."""
        return [name for name in self.file.columns if name not in STRUCTURAL]

    def value(self, column: str, i: int) -> Any:
        """Row ``i`` of a column: int, float, str, list of str, or an array."""
        return self._column(column)[i]

    def value_or(self, column: str, i: int, default: Any) -> Any:
        """As ``value``; ``default`` where the split lacks the column."""
        return self.value(column, i) if column in self.file.columns else default

    def array(self, column: str) -> np.ndarray[Any, Any]:
        """The whole of a column of plain numbers, (n,) or (n, k), mapped and read-only."""
        reader = self._column(column)
        if reader.kind != "array":
            raise UserError(f"column {column!r} of split {self.name!r} holds no plain numbers")
        return reader.parts["values"]

    def _column(self, name: str) -> ColumnReader:
        try:
            return self.file.columns[name]
        except KeyError:
            raise UserError(
                f"{self.folder}: split {self.name!r} has no column {name!r}, "
                f"only {', '.join(self.columns) or 'none'}"
            ) from None
