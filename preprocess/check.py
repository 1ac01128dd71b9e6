"""What makes a record usable; the same judgement in every pass over the records."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from preprocess.records import BadRecord, Record

HALF_PAIR = re.compile("[\ud800-\udfff]")


class ImageTable:
    """All images that records name, in order of first use; each file is looked at once."""

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        self.path_of = path_of
        self.position: dict[str, int] = {}
        self.faults: dict[str, str] = {}

    def fault(self, key: str) -> str | None:
        """Why an image cannot be used as far as the file system tells, or None."""
        if key in self.position:
            return self.faults.get(key)
        if key not in self.faults:
            reason = file_fault(self.path_of(key))
            if reason is None:
                return None
            self.faults[key] = f"image {key} {reason}"
        return self.faults[key]

    def use(self, key: str) -> None:
        """Give the image a place, if it has none."""
        self.position.setdefault(key, len(self.position))


def file_fault(path: Path) -> str | None:
    """Missing, a folder, unreadable, or empty."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if os.path.isdir(path):
        return "is a folder"
    if status.st_size == 0:
        return "is empty"
    if not os.access(path, os.R_OK):
        return "cannot be read (permission denied)"
    return None


class SplitChecker:
    """Judge the records of one split; the first good record decides what all must have."""

    def __init__(self, images: ImageTable) -> None:
        self.images = images
        self.first: Record | None = None

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
        for key in record.images:
            reason = self.images.fault(key)
            if reason:
                return reason
        return self._unlike_first(record)

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
        return None
