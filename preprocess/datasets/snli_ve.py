"""SNLI-VE: hypotheses about photographs of Flickr30K; also e-SNLI-VE's corrected labels.

The hypothesis is the text and the picture takes the premise's place. Classes stand in the order of
METER's and ManagerTower's ``write_snli.py`` (``label2id``), so that their checkpoints fit.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.errors import UserError
from preprocess.datasets.flickr_pictures import PICTURES, FlickrReader, flickr_key
from preprocess.datasets.registry import missing_field, register_reader
from preprocess.json_lines import json_lines
from preprocess.records import BadRecord, Record

CLASSES = ["contradiction", "neutral", "entailment"]
OFFICIAL_NAMES = {"train": "train", "valid": "dev", "test": "test"}
FILES = {"snli_ve": "snli_ve_{}.jsonl", "esnlive": "esnlive_{}.csv"}
PICTURE_FIELDS = ("Flickr30K_ID", "Flikr30kID", "Flickr30kID")
TEXT_FIELDS = {"snli_ve": "sentence2", "esnlive": "hypothesis"}


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
        for where, item in _csv_rows(path) if self.kind == "esnlive" else _lines(path):
            yield item if isinstance(item, BadRecord) else self._record(item, where)

    def _record(self, item: Any, where: str) -> Record | BadRecord:
        text = TEXT_FIELDS[self.kind]
        reason = missing_field(item, "pairID", text, "gold_label")
        if reason:
            return BadRecord(where, reason)
        picture = next((item[name] for name in PICTURE_FIELDS if item.get(name)), None)
        if picture is None:
            return BadRecord(where, f'lacks the picture\'s number ("{PICTURE_FIELDS[0]}")')
        number = str(picture).removesuffix(".jpg")
        if not number.isascii() or not number.isdigit():
            return BadRecord(where, f"the picture's number is {picture!r}")
        return Record(
            where=where,
            sample_id=item["pairID"],
            text=item[text],
            images=(flickr_key(f"{number}.jpg"),),
            label=str(item["gold_label"]),
            extra={"image_id": int(number)},
        )


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    for _, where, item in json_lines(path):
        yield where, item


def _csv_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Rows as dicts; UserError for a file that is no CSV with the columns needed."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            reason = missing_field(dict.fromkeys(rows.fieldnames or ()), "pairID", "Flickr30kID",
                                   TEXT_FIELDS["esnlive"], "gold_label")  # fmt: skip
            if reason:
                raise UserError(f"{path}: its head {reason}")
            for row in rows:
                yield f"{path.name} line {rows.line_num}", row
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: no CSV in UTF-8 ({error})") from error
