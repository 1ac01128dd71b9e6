"""What makes a record usable; the same judgement in every pass over the records."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from mt_fairseq.data.tokenizer import TextTokenizer
from preprocess.column_kinds import TEXT, TEXTS, WHOLE, Kind, kind_of, value_fault
from preprocess.image_table import ImageTable
from preprocess.records import BadRecord, Record
from preprocess.shown import shown

SHOWN = 8
"""Classes that a message names."""
VISIBLE = re.compile("[!-~]")
"""Characters that leave a token, whatever the tokenizer."""
WORDS = {WHOLE: "a whole number", TEXT: "text", TEXTS: "a list of texts"}


def content_fault(record: Record) -> str | None:
    """Why a record cannot be stored, whatever other records and images are like, or None."""
    reason = (
        _fault("text", record.text, TEXT)
        or _fault("id", record.sample_id, WHOLE, TEXT)
        or _fault("images", record.images, TEXTS)
        or (record.answers is not None and _fault("answers", record.answers, TEXTS))
        or (record.majority is not None and _fault("majority answer", record.majority, TEXT))
        or (record.label is not None and _fault("label", record.label, TEXT))
    )
    if reason:
        return reason
    for name, value in record.extra.items():
        reason = value_fault(value)
        if reason:
            return f"its {name} {reason}"
    return None if record.text.strip() else "its text is empty"


def _fault(name: str, value: Any, *kinds: Kind) -> str | None:
    if kind_of(value) not in kinds or isinstance(value, bool):
        wanted = " or ".join(WORDS[kind] for kind in kinds)
        return f"its {name} must be {wanted}, not {shown(value)}"
    reason = value_fault(value)
    return reason and f"its {name} {reason}"


def may_leave_nothing(text: str) -> bool:
    """Whether a tokenizer has to say if a text leaves any token (zero-width characters do not)."""
    return VISIBLE.search(text) is None


class SplitChecker:
    """Judge the records of one split; the first good record decides what all must have.

    Args:
        images: the images of all splits.
        classes: the only labels allowed, where they are known before the records.
        repeated: hashes of the ids that occur more than once; the first record of an id counts.
        tokenizer: of which every text must leave a token; None before there is one.
    """

    def __init__(
        self,
        images: ImageTable,
        classes: Collection[str] | None = None,
        repeated: Collection[int] = (),
        tokenizer: TextTokenizer | None = None,
    ) -> None:
        self.images = images
        self.classes = classes
        self.repeated = repeated
        self.tokenizer = tokenizer
        self.first: Record | None = None
        self.owner: dict[int | str, str] = {}

    def judge(self, records: Iterator[Record | BadRecord]) -> Iterator[Record | BadRecord]:
        """The same records, unusable ones as :class:`BadRecord`."""
        for record in records:
            if isinstance(record, Record):
                reason = self.fault(record)
                yield BadRecord(record.where, reason) if reason else record
            else:
                yield record

    def fault(self, record: Record) -> str | None:
        """Why a record cannot be used, or None."""
        if self._no_token(record.text):
            return f"its text leaves no token: {shown(record.text)}"
        for key in record.images:
            reason = self.images.fault(key)
            if reason:
                return reason
        known = self.classes is None or record.label is None or record.label in self.classes
        if not known:
            return f"its label {record.label!r} is none of {_some(self.classes or ())}"
        return self._unlike_first(record) or self._id_taken(record)

    def _no_token(self, text: str) -> bool:
        return (self.tokenizer is not None and may_leave_nothing(text)
                and not self.tokenizer.encode(text))  # fmt: skip

    def _id_taken(self, record: Record) -> str | None:
        if not self.repeated or hash(record.sample_id) not in self.repeated:
            return None
        owner = self.owner.get(record.sample_id)
        if owner is None:
            self.owner[record.sample_id] = record.where
            return None
        return (
            f"its id {shown(record.sample_id)} was taken by {owner}; ids must differ within a split"
        )

    def _unlike_first(self, record: Record) -> str | None:
        first = self.first
        if first is None:
            self.first = record
            return None
        if len(record.images) != len(first.images):
            return f"has {len(record.images)} pictures, {first.where} has {len(first.images)}"
        for name in ("label", "answers"):
            mine, other = getattr(record, name), getattr(first, name)
            if (mine is None) != (other is None):
                has = ("lacks", "has") if mine is None else ("has", "lacks")
                return f"{has[0]} {name}, {first.where} {has[1]} it"
        if record.extra.keys() != first.extra.keys():
            return f"has other columns than {first.where}"
        if kind_of(record.sample_id) != kind_of(first.sample_id):
            return _unlike("id", record.sample_id, first.sample_id)
        for name, value in record.extra.items():
            if kind_of(value) != kind_of(first.extra[name]):
                return _unlike(name, value, first.extra[name])
        return None


def _unlike(name: str, value: Any, first: Any) -> str:
    return f"its {name} {shown(value)} is of another kind than {shown(first)}"


def _some(names: Collection[str]) -> str:
    """The names, or the first few of many."""
    shown = ", ".join(list(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
