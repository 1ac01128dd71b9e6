"""Files with one JSON object a line; a bad line is one bad record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mt_fairseq.data.files import text_lines
from mt_fairseq.data.json_text import parse_json
from preprocess.fields import Fields


def json_lines(path: Path) -> Iterator[tuple[int, Fields]]:
    """Number (from 1) and fields of every line that is not blank.

    A line that is not JSON has no fields. Errors: UserError for a file that cannot be read.
    """
    for number, line in enumerate(text_lines(path), 1):
        if line is None or line.strip():
            yield number, _fields(line, f"{path.name} line {number}")


def _fields(line: str | None, where: str) -> Fields:
    if line is None:
        return Fields(None, where, "is not UTF-8 text")
    try:
        return Fields(parse_json(line), where)
    except json.JSONDecodeError as error:
        return Fields(None, where, f"is not valid JSON (column {error.colno}: {error.msg})")
