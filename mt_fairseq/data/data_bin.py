"""A preprocessed dataset: the one door to everything in a data-bin folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mt_fairseq.data.answer_rules import official_rows
from mt_fairseq.data.images import ImageStore
from mt_fairseq.data.joined_split import JoinedSplit
from mt_fairseq.data.links import check_links
from mt_fairseq.data.metadata import DATA_BIN_VERSION, LABEL_FILE, read_labels, read_metadata
from mt_fairseq.data.split import Split
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError

if TYPE_CHECKING:
    from mt_fairseq.data.dictionary import LabelDictionary, TextDictionary

__all__ = ["DATA_BIN_VERSION", "DataBin"]


class DataBin:
    """Open a data-bin folder; parts are read when first used.

    Errors: UserError if the folder is no data-bin, of another format version, or unfinished.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.metadata: dict[str, Any] = read_metadata(self.path)

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self.metadata["splits"])

    def split(self, name: str) -> Split:
        """One split, or "a,b" several joined; UserError as ``check_split``."""
        names = self.check_split(name)
        return Split(self.path, name) if len(names) == 1 else JoinedSplit(self.path, names)

    def check_split(self, name: str) -> list[str]:
        """The splits that "a,b" names; UserError lists the known ones if one is unknown."""
        names = name.split(",")
        for one in names:
            if one not in self.metadata["splits"]:
                raise UserError(
                    f"{self.path}: has no split {one!r}; it has {', '.join(self.splits)}"
                )
        return names

    def official_answers(self, name: str) -> NDArray[np.bool_]:
        """(n,) which samples' answers VQA v2's own rule scores; names as for ``split``."""
        parts = [self.split(one) for one in name.split(",")]
        return np.concatenate([official_rows(self.metadata, part) for part in parts])

    @cached_property
    def images(self) -> ImageStore:
        """All images, shared by all splits."""
        packs = self.metadata["images"]["packs"]
        files = self.metadata["files"]
        check_links(self.path, {pack["file"]: files[pack["file"]]["bytes"] for pack in packs})
        return ImageStore(
            [self.path / pack["file"] for pack in packs],
            [pack["images"] for pack in packs],
            [pack.get("prefix", "") for pack in packs],
        )

    @property
    def text_cleaning(self) -> str | None:
        """The cleaning that its texts went through, by name."""
        return self.metadata.get("clean_text")

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer that made the ids."""
        return TextTokenizer.load(self.path)

    @cached_property
    def dictionary(self) -> TextDictionary:
        """The tokenizer as a fairseq dictionary."""
        from mt_fairseq.data.dictionary import TextDictionary

        return TextDictionary(self.tokenizer)

    @cached_property
    def labels(self) -> list[str] | None:
        """Classes in order, or None where the data has none."""
        path = self.path / LABEL_FILE
        return read_labels(path) if path.is_file() else None

    @cached_property
    def label_dictionary(self) -> LabelDictionary | None:
        """The classes as a fairseq dictionary."""
        from mt_fairseq.data.dictionary import LabelDictionary

        return None if self.labels is None else LabelDictionary(self.labels, self.tokenizer.pad)
