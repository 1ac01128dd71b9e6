"""Records as a data-bin takes them: values that columns hold, normal image keys, clean texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from mt_fairseq.data.text_cleaning import cleaned
from preprocess.check import content_fault
from preprocess.datasets.registry import Reader
from preprocess.fields import FieldFault
from preprocess.image_keys import normal_key
from preprocess.records import BadRecord, Record
from preprocess.shown import shown


def records_of(reader: Reader, split: str, cleaning: str | None) -> Iterator[Record | BadRecord]:
    """Records of a split; every pass over them goes through here.

    A record is bad if a column cannot hold one of its values, if an image lies outside of the image
    root, or if the cleaning (``--clean-text``) leaves nothing of its text.
    """
    root = os.path.abspath(reader.image_root)
    for record in reader.records(split):
        yield record if isinstance(record, BadRecord) else _prepared(record, root, cleaning)


def _prepared(record: Record, root: str, cleaning: str | None) -> Record | BadRecord:
    reason = content_fault(record)
    if reason:
        return BadRecord(record.where, reason)
    text = cleaned(record.text, cleaning)
    if not text.strip():
        reason = f"--clean-text {cleaning} leaves nothing of its text {shown(record.text)}"
        return BadRecord(record.where, reason)
    try:
        images = tuple(normal_key(key, root, record.where) for key in record.images)
    except FieldFault as fault:
        return fault.as_record()
    if (text, images) == (record.text, record.images):
        return record
    return replace(record, text=text, images=images)
