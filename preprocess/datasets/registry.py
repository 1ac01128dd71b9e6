"""Readers by name, and what every reader must offer."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.errors import UserError
from mt_fairseq.registry import Registry
from preprocess.records import BadRecord, Record


class Reader(ABC):
    """Raw files of one dataset as records.

    ``records`` is called more than once and must give the same records in the same order. A reader
    raises UserError only for a file as a whole; a fault of one record is a :class:`BadRecord`.

    Attributes:
        summary: one line for ``--help``.
        source: where the files come from, for ``--help``.
        layout: the tree of files that it expects, for ``--help`` and for errors.
        has_answers: whether records may carry answers, so that the answer options apply.
        official_answers: whether they are VQA v2's own records, which its evaluator's rule scores;
            all others are normalised before they are compared.
        warns_of_lost_answers: whether answers that normalising makes empty or equal are named; not
            where the dataset's published use normalises them.
    """

    summary: ClassVar[str]
    source: ClassVar[str] = ""
    layout: ClassVar[str]
    has_answers: ClassVar[bool] = False
    official_answers: ClassVar[bool] = False
    warns_of_lost_answers: ClassVar[bool] = True

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        self.raw = raw
        self.image_root = Path(args.image_root) if args.image_root else raw
        for folder in (self.raw, self.image_root):
            if not folder.is_dir():
                raise UserError(f"{folder}: there is no such folder")

    @classmethod  # noqa: B027 - most datasets have no options of their own
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add options of this dataset alone."""

    def deciding(self, args: argparse.Namespace) -> dict[str, Any]:
        """The options of this dataset alone: a resumed run must name the same."""
        parser = argparse.ArgumentParser()
        self.add_arguments(parser)
        return {name: getattr(args, name) for name in vars(parser.parse_args([]))}

    def glob(self, pattern: str) -> list[Path]:
        """Files in RAW, sorted; hidden ones (macOS writes ``._train.jsonl``) hold no data."""
        found = ((path, path.relative_to(self.raw).parts) for path in self.raw.glob(pattern))
        return sorted(path for path, parts in found if not any(p.startswith(".") for p in parts))

    def find(self, name: str) -> Path | None:
        """A file in RAW or one folder deeper."""
        places = [self.raw / name, *self.glob(f"*/{name}")]
        return next((path for path in places if path.is_file()), None)

    def split_files(self) -> dict[str, str]:
        """Official splits and the file of each, where the dataset has one file a split."""
        return {}

    def split_sources(self) -> dict[str, str]:
        """Official splits and the file in which each is looked for, to name what is not there."""
        return self.split_files()

    def file_of(self, split: str) -> Path:
        """The file of a split; UserError if it is not there."""
        name = self.split_files()[split]
        path = self.find(name)
        if path is None:
            raise UserError(f"{self.raw / name}: the file of split {split!r} is missing")
        return path

    def splits(self) -> list[str]:
        """Names of the splits whose files are there."""
        return [split for split, name in self.split_files().items() if self.find(name)]

    def remark(self, split: str) -> str | None:
        """What people should know about the records of a split that was read, or None."""
        return None

    @abstractmethod
    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Records of a split in the order of the raw files."""

    def classes(self) -> list[str] | None:
        """Class names in order, where the dataset fixes them; None to take them from the data."""
        return None

    def image_path(self, key: str) -> Path:
        """File of an image."""
        return self.image_root / key

    def nothing_found(self) -> UserError:
        """The error for a folder that does not look as it should."""
        tree = "; ".join(line.strip() for line in self.layout.strip().splitlines())
        return UserError(f"{self.raw}: none of the expected files is there ({tree})")


READERS: Registry[type[Reader]] = Registry("reader")
register_reader = READERS.register
"""Class decorator: make a reader known as ``python -m preprocess NAME``."""
