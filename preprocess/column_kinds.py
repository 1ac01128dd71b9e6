"""Which kind of column holds a value, and which values no column can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from mt_fairseq.data.text_check import text_fault
from preprocess.records import Ragged
from preprocess.shown import shown

INT64 = 1 << 63


class Kind(NamedTuple):
    """What a column holds.

    Args:
        name: "text", "texts" (any count), "ragged" (any count of numbers), "int" or "float".
        width: numbers in a row where rows are fixed-length sequences, else None.
    """

    name: str
    width: int | None = None


def kind_of(value: Any) -> Kind | None:
    """The kind that a value asks for; None where there is none."""
    if isinstance(value, str):
        return Kind("text")
    if isinstance(value, Ragged):
        return Kind("ragged")
    if isinstance(value, (int, float)):
        return Kind("int" if isinstance(value, int) else "float")
    if not isinstance(value, (list, tuple)):
        return None
    if all(isinstance(x, str) for x in value):
        return Kind("texts")
    if not all(isinstance(x, (int, float)) for x in value):
        return None
    return Kind("int" if all(isinstance(x, int) for x in value) else "float", len(value))


def value_fault(value: Any) -> str | None:
    """Why no column can hold a value, or None.

    Columns hold whole numbers of 64 bits, finite numbers, and text that UTF-8 can encode.
    """
    kind = kind_of(value)
    if kind is None:
        return f"is neither text nor numbers: {shown(value)}"
    parts: Sequence[Any] = value if isinstance(value, (list, tuple)) else (value,)
    if kind.name in ("text", "texts"):
        fault = next(filter(None, map(text_fault, parts)), None)
        return fault and f"{fault}: {shown(value)}"
    return next(filter(None, map(_number_fault, parts)), None)


def _number_fault(value: float) -> str | None:
    if isinstance(value, int):
        return None if -INT64 <= value < INT64 else f"does not fit into 64 bits: {shown(value)}"
    return None if math.isfinite(value) else f"is not a finite number: {value}"
