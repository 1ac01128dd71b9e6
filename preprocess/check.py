"""What makes a record usable; the same judgement in every pass over the records."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from preprocess.image_table import ImageTable
from preprocess.records import BadRecord, Record

SHOWN = 8
"""Classes that a message names."""
HALF_PAIR = re.compile("[\ud800-\udfff]")


class SplitChecker:
    """Judge the records of one split; the first good record decides what all must have.

    Args:
        images: the images of all splits.
        classes: the only labels allowed, where they are known before the records.
        repeated: hashes of the ids that occur more than once; the first record of an id counts.
    """

    def __init__(
        self,
        images: ImageTable,
        classes: Collection[str] | None = None,
        repeated: Collection[int] = (),
    ) -> None:
        self.images = images
        self.classes = classes
        self.repeated = repeated
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
        if not isinstance(record.text, str):
            return f"its text is no string: {record.text!r}"
        if not record.text.strip():
            return "its text is empty"
        if HALF_PAIR.search(record.text):
            return "its text holds half a surrogate pair, which is no character"
        if isinstance(record.sample_id, bool) or not isinstance(record.sample_id, (int, str)):
            return f"its id {record.sample_id!r} is neither a whole number nor a string"
        for key in record.images:
            reason = self.images.fault(key)
            if reason:
                return reason
        known = self.classes is None or record.label is None or record.label in self.classes
        if not known:
            return f"its label {record.label!r} is none of {_some(self.classes or ())}"
        return self._unlike_first(record) or self._id_taken(record)

    def _id_taken(self, record: Record) -> str | None:
        if not self.repeated or hash(record.sample_id) not in self.repeated:
            return None
        owner = self.owner.get(record.sample_id)
        if owner is None:
            self.owner[record.sample_id] = record.where
            return None
        return f"its id {record.sample_id!r} was taken by {owner}; ids must differ within a split"

    def _unlike_first(self, record: Record) -> str | None:
        first = self.first
        if first is None:
            self.first = record
            return None
        if len(record.images) != len(first.images):
            return f"has {len(record.images)} pictures, {first.where} has {len(first.images)}"
        if type(record.sample_id) is not type(first.sample_id):
            return f"its id {record.sample_id!r} is of another kind than {first.sample_id!r}"
        for name in ("label", "answers"):
            mine, other = getattr(record, name), getattr(first, name)
            if (mine is None) != (other is None):
                has = ("lacks", "has") if mine is None else ("has", "lacks")
                return f"{has[0]} {name}, {first.where} {has[1]} it"
        if set(record.extra) != set(first.extra):
            return f"has other columns than {first.where}"
        for name, value in record.extra.items():
            if type(value) is not type(first.extra[name]):
                return f"its {name} {value!r} is of another kind than {first.extra[name]!r}"
        return None


def _some(names: Collection[str]) -> str:
    """The names, or the first few of many."""
    shown = ", ".join(list(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
