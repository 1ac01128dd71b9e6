"""Conceptual Captions (CC3M): a caption and an address a line, pictures fetched by the user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mt_fairseq.data.files import text_lines
from preprocess.datasets.registry import register_reader
from preprocess.datasets.web_captions import CAPTION, FILE, URL, WebCaptions
from preprocess.fields import Fields

FILES = {"train": "Train_GCC-training.tsv", "valid": "Validation_GCC-1.1.0-Validation.tsv"}


@register_reader("cc")
class ConceptualCaptions(WebCaptions):
    """Captions; many addresses are dead, so ``--on-error skip`` is the usual way."""

    summary = "Conceptual Captions: official TSV, pictures that you downloaded"
    source = (
        "https://ai.google.com/research/ConceptualCaptions/download; the pictures by a downloader "
        "of yours from the addresses in the files"
    )
    layout: ClassVar[str] = """
        RAW/Train_GCC-training.tsv  (caption, tab, address; no head)
        RAW/Validation_GCC-1.1.0-Validation.tsv
        IMAGES/train/00000000.jpg  (line 0 of train; IMAGES is --image-root, else RAW)
        IMAGES/valid/00000000.jpg  (other names: --image-name, or a third column with the file)
    """
    pattern = "{split}/{line:08d}.jpg"

    def split_files(self) -> dict[str, str]:
        """The official names."""
        return FILES

    def lines(self, split: str) -> Iterator[Fields]:
        """Lines of two columns, or of three with the picture's file."""
        path = self.file_of(split)
        for number, line in enumerate(text_lines(path)):
            yield _fields(line, f"{path.name} line {number}")


def _fields(line: str | None, where: str) -> Fields:
    if line is None:
        return Fields(None, where, "is not UTF-8 text")
    columns = line.split("\t")
    if len(columns) not in (2, 3):
        count = f"has {len(columns)} columns, not caption, address and perhaps file"
        return Fields(None, where, count)
    return Fields(dict(zip((CAPTION, URL, FILE), columns, strict=False)), where)
