"""The second pass over the records: ids and columns of one split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mt_fairseq.data.answers import answer_targets, normalize_answer
from mt_fairseq.data.column_buffers import (
    Buffer,
    NumberBuffer,
    RaggedColumn,
    TextColumn,
    TextsColumn,
)
from mt_fairseq.data.columns import write_columns
from mt_fairseq.data.files import atomic_file
from mt_fairseq.data.token_file import TokenWriter
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError
from preprocess.check import SplitChecker
from preprocess.column_kinds import kind_of
from preprocess.image_table import ImageTable
from preprocess.options import Options
from preprocess.records import BadRecord, Record

SPECIAL_TOKENS = 2  # <s> and </s>, which datasets add


class Columns:
    """Columns of a split, one buffer each, made when a value first needs it."""

    def __init__(self, classes: dict[str, int] | None) -> None:
        self.buffers: dict[str, Buffer] = {}
        self.classes = classes
        self.without_class = 0

    def add(self, record: Record, images: list[int]) -> None:
        """Append one record."""
        self._put("sample_id", record.sample_id)
        self._put("image", images)
        for name, value in record.extra.items():
            self._put(name, value)
        if record.answers is not None:
            self._add_answers(record, self.classes or {})
        elif record.label is not None:
            self._put("label", (self.classes or {})[record.label])

    def _add_answers(self, record: Record, classes: dict[str, int]) -> None:
        targets = answer_targets(record.answers or ())
        known = {classes[a]: score for a, score in targets.items() if a in classes}
        majority = normalize_answer(record.majority or "")
        self.without_class += not known
        self._put("label", classes.get(majority, -1))
        self._buffer("labels", lambda: RaggedColumn(np.int64)).add(np.array(list(known)))
        self._buffer("scores", lambda: RaggedColumn(np.float32)).add(np.array(list(known.values())))
        self._buffer("answers", TextsColumn).add(list(record.answers or ()))

    def _put(self, name: str, value: Any) -> None:
        self._buffer(name, lambda: _buffer_for(value)).add(value)

    def _buffer(self, name: str, make: Any) -> Buffer:
        if name not in self.buffers:
            self.buffers[name] = make()
        return self.buffers[name]


def _buffer_for(value: Any) -> Buffer:
    """The column for the kind of the first value."""
    kind = kind_of(value)
    if kind is None:
        raise TypeError(f"no column holds {value!r}")
    if kind.name == "text":
        return TextColumn()
    if kind.name == "texts":
        return TextsColumn()
    if kind.name == "ragged":
        return RaggedColumn(np.float32)
    return NumberBuffer("q" if kind.name == "int" else "d", kind.width)


class SplitWriter:
    """Write the files of one split; :attr:`summary` goes into metadata.json."""

    def __init__(
        self,
        split: str,
        options: Options,
        tokenizer: TextTokenizer,
        classes: list[str] | None,
        images: ImageTable,
    ) -> None:
        self.split, self.options, self.tokenizer = split, options, tokenizer
        self.columns = Columns(None if classes is None else {c: i for i, c in enumerate(classes)})
        self.skipped: list[dict[str, str]] = []
        self.images = images
        self.seen = bytearray(len(images))

    def write(
        self, checker: SplitChecker, records: Iterator[Record | BadRecord], bar: Any
    ) -> dict[str, Any]:
        """Tokenize and store every usable record; the rest is listed."""
        prefix = self.options.dest / f"{self.split}.text"
        with atomic_file(prefix.with_name(prefix.name + ".bin")) as stream:
            tokens = TokenWriter(stream, len(self.tokenizer.symbols))
            for record in checker.judge(records):
                if isinstance(record, BadRecord):
                    self.skipped.append({"record": record.where, "reason": record.reason})
                else:
                    self._add(record, tokens)
                bar.update(1)
        if not tokens.lengths:
            first = self.skipped[0]
            raise UserError(f"no record of split {self.split!r} can be used: {first['record']}: "
                            f"{first['reason']}")  # fmt: skip
        write_columns(self.options.dest / f"{self.split}.h5", self.columns.buffers)
        summary = self._summary(np.frombuffer(tokens.lengths, np.int32))
        self.columns.buffers.clear()  # their memory is for the index
        tokens.write_index(prefix.with_name(prefix.name + ".idx"))
        return summary

    def _add(self, record: Record, tokens: TokenWriter) -> None:
        images = [self.images.index(key) for key in record.images]
        for i in images:
            self.seen[i] = 1
        tokens.add(self.tokenizer.encode(record.text))
        self.columns.add(record, images)

    def _summary(self, lengths: np.ndarray[Any, Any]) -> dict[str, Any]:
        limit = self.options.max_text_len
        summary: dict[str, Any] = {
            "samples": len(lengths),
            "images": sum(self.seen),
            "tokens": int(lengths.sum()),
            "longest_text": int(lengths.max()),
            "longer_than_max_text_len": int((lengths + SPECIAL_TOKENS > limit).sum()),
            "skipped": self.skipped,
        }
        if "labels" in self.columns.buffers:
            summary["without_known_answer"] = self.columns.without_class
        return summary
