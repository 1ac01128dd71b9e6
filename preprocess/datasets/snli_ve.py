"""SNLI-VE: hypotheses about photographs of Flickr30K; also e-SNLI-VE's corrected labels.

The hypothesis is the text and the picture takes the premise's place. Classes stand in the order of
METER's and ManagerTower's ``write_snli.py`` (``label2id``), so that their checkpoints fit.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mt_fairseq.data.files import open_text
from mt_fairseq.errors import UserError
from preprocess.datasets.flickr_pictures import PICTURES, FlickrReader, flickr_key
from preprocess.datasets.registry import register_reader
from preprocess.fields import Fields, faults_as_records
from preprocess.json_lines import json_lines
from preprocess.records import BadRecord, Record
from preprocess.shown import shown

CLASSES = ["contradiction", "neutral", "entailment"]
OFFICIAL_NAMES = {"train": "train", "valid": "dev", "test": "test"}
FILES = {"snli_ve": "snli_ve_{}.jsonl", "esnlive": "esnlive_{}.csv"}
PICTURE_FIELDS = ("Flickr30K_ID", "Flikr30kID", "Flickr30kID")
TEXT_FIELDS = {"snli_ve": "sentence2", "esnlive": "hypothesis"}
CSV_COLUMNS = ("pairID", "Flickr30kID", TEXT_FIELDS["esnlive"], "gold_label")
MOST_DIGITS = 18
"""Of a number that fits into 64 bits."""


@register_reader("snli_ve")
class SnliVe(FlickrReader):
    """A record a hypothesis; ``image_id`` is Flickr's number of the picture."""

    summary = "SNLI-VE: does the picture entail the hypothesis (three classes)"
    source = (
        "https://github.com/necla-ml/SNLI-VE (older releases of the lines are read as well); "
        f"e-SNLI-VE: https://github.com/maximek3/e-ViL; {PICTURES}"
    )
    layout: ClassVar[str] = """
        RAW/snli_ve_{train,dev,test}.jsonl  (official; taken if there is one)
        RAW/esnlive_{train,dev,test}.csv  (e-SNLI-VE)
        IMAGES/flickr30k-images/1000092795.jpg  (IMAGES is --image-root, else RAW)
    """

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        self.kind = args.annotations
        if self.kind == "auto":
            self.kind = "snli_ve"
            if not self.splits():
                self.kind = "esnlive"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The choice between the two releases."""
        parser.add_argument(
            "--annotations",
            choices=["auto", *FILES],
            default="auto",
            help="which files to read (default: auto, SNLI-VE's if there is one)",
        )

    def split_files(self) -> dict[str, str]:
        """One file a split, of the release that was chosen."""
        return {split: FILES[self.kind].format(name) for split, name in OFFICIAL_NAMES.items()}

    def classes(self) -> list[str]:
        """The order of the official code."""
        return CLASSES

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Hypotheses in the order of the file."""
        path = self.file_of(split)
        for row in _csv_rows(path) if self.kind == "esnlive" else _lines(path):
            yield from faults_as_records(_record(row, TEXT_FIELDS[self.kind]))


def _record(row: Fields, text_name: str) -> Iterator[Record]:
    pair_id, number = row.identity("pairID"), _picture_number(row)
    yield Record(
        where=row.where,
        sample_id=pair_id,
        text=row.text(text_name),
        images=(flickr_key(f"{number}.jpg"),),
        label=row.text("gold_label"),
        extra={"image_id": int(number)},
    )


def _picture_number(row: Fields) -> str:
    filled = (name for name in PICTURE_FIELDS if row.given(name) and row.value(name) != "")
    name = next(filled, PICTURE_FIELDS[0])
    number = str(row.identity(name)).removesuffix(".jpg")
    if not number.isascii() or not number.isdigit() or len(number) > MOST_DIGITS:
        raise row.fault(f"the picture's number is {shown(number)}")
    return number


def _lines(path: Path) -> Iterator[Fields]:
    return (line for _, line in json_lines(path))


def _csv_rows(path: Path) -> Iterator[Fields]:
    """Rows as fields; UserError for a file that is no CSV with the columns needed."""
    with open_text(path, newline="") as stream:
        try:
            rows = csv.DictReader(stream)
            missing = [name for name in CSV_COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: its head lacks {', '.join(missing)}")
            for row in rows:
                yield Fields(row, f"{path.name} line {rows.line_num}")
        except csv.Error as error:
            raise UserError(f"{path}: no CSV ({error})") from error
