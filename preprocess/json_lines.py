"""Files with one JSON object a line; a bad line is one bad record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mt_fairseq.errors import UserError
from preprocess.records import BadRecord


def json_lines(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Number (from 1), name and value of every line that is not blank.

    The value is a :class:`BadRecord` for a line that is no JSON. Errors: UserError for a file that
    cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    where = f"{path.name} line {number}"
                    yield number, where, _value(line, where)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _value(line: bytes, where: str) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return BadRecord(where, "is not UTF-8 text")
    except json.JSONDecodeError as error:
        return BadRecord(where, f"is not valid JSON (column {error.colno}: {error.msg})")
