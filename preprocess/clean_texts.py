"""``--clean-text``: the records of a reader with their texts cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mt_fairseq.data.text_cleaning import cleaned
from preprocess.datasets.registry import Reader
from preprocess.records import BadRecord, Record


def records_of(reader: Reader, split: str, cleaning: str | None) -> Iterator[Record | BadRecord]:
    """Records of a split; a text of which the cleaning leaves nothing makes a bad one."""
    for record in reader.records(split):
        if cleaning is None or isinstance(record, BadRecord) or not isinstance(record.text, str):
            yield record
            continue
        text = cleaned(record.text, cleaning)
        if record.text.strip() and not text.strip():
            reason = f"--clean-text {cleaning} leaves nothing of its text {record.text!r}"
            yield BadRecord(record.where, reason)
        else:
            yield replace(record, text=text)
