"""JSON as the standard library parses it, with every fault of the text as one kind of error."""

from __future__ import annotations

import json
from typing import Any


class NestedTooDeeply(json.JSONDecodeError):
    """JSON in more levels than Python's parser can follow."""


class _Decoder(json.JSONDecoder):
    """Python's raises RecursionError for deep nesting and a bare ValueError for long numbers."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        try:
            return _decode(super(), s, idx)
        except RecursionError:
            raise NestedTooDeeply("nested too deeply", s, idx) from None


def _decode(decoder: Any, text: str, start: int) -> tuple[Any, int]:
    try:
        found: tuple[Any, int] = decoder.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a whole number of more digits than Python converts
        found = _LONG_NUMBERS.raw_decode(text, start)
    return found


def _whole(digits: str) -> int | float:
    """A number too long for ``int`` is infinite, which no field takes."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


_LONG_NUMBERS = json.JSONDecoder(parse_int=_whole)
DECODER = _Decoder()
"""Raises JSONDecodeError and nothing else."""


def parse_json(text: str) -> Any:
    """The value of a whole text; JSONDecodeError says where it is wrong."""
    return DECODER.decode(text)
