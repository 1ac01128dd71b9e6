"""NLVR2: is a sentence true of a pair of photographs.

Classes stand as in the official code, where the target is whether the label equals "True"
(``nlvr2_dataset.py`` of ViLT, METER, BridgeTower): False 0, True 1. The balanced and unbalanced
subsets of the two evaluation sets are splits of their own that share the pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from preprocess.datasets.registry import Reader, register_reader
from preprocess.fields import Fields, faults_as_records
from preprocess.json_lines import json_lines
from preprocess.records import BadRecord, Record
from preprocess.shown import shown

CLASSES = ["False", "True"]
SPLIT_FILES = {
    "train": "data/train.json",
    "valid": "data/dev.json",
    "test": "data/test1.json",
    "valid-balanced": "data/balanced/balanced_dev.json",
    "valid-unbalanced": "data/unbalanced/unbalanced_dev.json",
    "test-balanced": "data/balanced/balanced_test1.json",
    "test-unbalanced": "data/unbalanced/unbalanced_test1.json",
}
IDENTIFIER = re.compile(r"(?P<pair>(?P<subset>train|dev|test1)-\d+-\d+)-\d+")


@register_reader("nlvr2")
class Nlvr2(Reader):
    """A record a sentence and pair; ``identifier`` is split-set-pair-sentence."""

    summary = "NLVR2: is the sentence true of both pictures (two classes)"
    source = (
        "sentences: https://github.com/lil-lab/nlvr (folder nlvr2); "
        "pictures by the request form on https://lil.nlp.cornell.edu/nlvr"
    )
    layout: ClassVar[str] = """
        RAW/data/{train,dev,test1}.json  (one JSON object a line; RAW/nlvr2/data will do as well)
        RAW/data/balanced/balanced_{dev,test1}.json
        RAW/data/unbalanced/unbalanced_{dev,test1}.json
        IMAGES/images/train/86/train-10171-0-img0.png  (IMAGES is --image-root, else RAW)
        IMAGES/dev/dev-850-0-img0.png
        IMAGES/test1/test1-0-1-img0.png  (JPEG under the name .png is as well)
    """

    def split_files(self) -> dict[str, str]:
        """Lines of each split."""
        return SPLIT_FILES

    def classes(self) -> list[str]:
        """The order of the official code."""
        return CLASSES

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Lines in the order of the file."""
        for _, line in json_lines(self.file_of(split)):
            yield from faults_as_records(_record(line))


def _record(line: Fields) -> Iterator[Record]:
    identifier, text, label = line.text("identifier"), line.text("sentence"), _label(line)
    match = IDENTIFIER.fullmatch(identifier)
    if match is None:
        raise line.fault(f"its identifier {shown(identifier)} is not split-set-pair-sentence")
    folder = match["subset"]
    if folder == "train":
        folder = f"images/train/{line.identity('directory')}"
    stem = f"{folder}/{match['pair']}"
    yield Record(
        where=line.where,
        sample_id=identifier,
        text=text,
        images=(f"{stem}-img0.png", f"{stem}-img1.png"),
        label=label,
        extra={"identifier": identifier},
    )


def _label(line: Fields) -> str:
    """ "True" or "False", also where JSON's true and false stand for them."""
    value = line.value("label")
    return str(value) if isinstance(value, bool) else line.text("label")
