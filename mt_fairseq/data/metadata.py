"""metadata.json: what a data-bin says about itself; its presence means that it is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mt_fairseq.data.files import open_text, read_json
from mt_fairseq.errors import UserError

DATA_BIN_VERSION = 1
FORMAT = "mt-data-bin"
METADATA_FILE = "metadata.json"
LABEL_FILE = "dict.label.txt"
BUILDING = "building"
"""Folder inside a data-bin that exists only while it is being written."""


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read and check metadata.json; UserError says what is wrong with the folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such data-bin; `python -m preprocess` writes one")
    path = folder / METADATA_FILE
    if not path.is_file():
        if (folder / BUILDING).is_dir():
            raise UserError(
                f"{folder}: this data-bin is unfinished; run its preprocess command again with "
                "--resume"
            )
        raise UserError(f"{folder}: no data-bin (it has no {METADATA_FILE})")
    metadata = read_json(path)
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise UserError(f"{path}: not the description of a data-bin")
    version = metadata.get("version")
    if version != DATA_BIN_VERSION:
        raise UserError(
            f"{folder}: data-bin of format version {version}, this code reads version "
            f"{DATA_BIN_VERSION}; write it again with `python -m preprocess ... --overwrite`"
        )
    return metadata


def label_lines(labels: list[str]) -> str:
    """``dict.label.txt``: one label a line in class order, an empty line for the empty label."""
    for label in labels:
        if len(label.splitlines()) > 1 or label.endswith(("\n", "\r")):
            raise UserError(f"label {label!r} holds a line break; labels stand one a line")
    return "".join(f"{label}\n" for label in labels)


def read_labels(path: Path) -> list[str]:
    """Inverse of :func:`label_lines`."""
    with open_text(path, newline="") as stream:
        return stream.read().split("\n")[:-1]
