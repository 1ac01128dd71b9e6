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


WHOLE, REAL, TEXT, TEXTS, RAGGED = map(Kind, ("int", "float", "text", "texts", "ragged"))
OF_TYPE = {str: TEXT, int: WHOLE, bool: WHOLE, float: REAL, Ragged: RAGGED}


def kind_of(value: Any) -> Kind | None:
    """The kind that a value asks for; None where there is none."""
    kind = OF_TYPE.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, (list, tuple)):
        return _kind_of_many(value)
    return next((kind for base, kind in OF_TYPE.items() if isinstance(value, base)), None)


def _kind_of_many(values: Sequence[Any]) -> Kind | None:
    if set(map(type, values)) <= {str}:
        return TEXTS
    kinds = set(map(kind_of, values))
    if kinds <= {WHOLE, REAL}:
        return Kind("int" if kinds == {WHOLE} else "float", len(values))
    return TEXTS if kinds == {TEXT} else None


def value_fault(value: Any) -> str | None:
    """Why no column can hold a value, or None.

    Columns hold whole numbers of 64 bits, finite numbers, and text that UTF-8 can encode.
    """
    kind = kind_of(value)
    if kind is None:
        fault: str | None = "is neither text nor numbers"
    elif kind in (TEXT, TEXTS):
        fault = text_fault(value if kind is TEXT else "".join(value))
    elif isinstance(value, (list, tuple)):
        return next(filter(None, map(_number_fault, value)), None)
    else:
        return _number_fault(value)
    return fault and f"{fault}: {shown(value)}"


def _number_fault(value: float) -> str | None:
    if isinstance(value, int):
        return None if -INT64 <= value < INT64 else f"does not fit into 64 bits: {shown(value)}"
    return None if math.isfinite(value) else f"is not a finite number: {value}"
