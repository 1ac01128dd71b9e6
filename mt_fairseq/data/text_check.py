"""Whether a value is text that can be stored, printed and tokenized."""

from __future__ import annotations

import re

HALF_PAIR = re.compile("[\ud800-\udfff]")


def text_fault(value: object) -> str | None:
    """Why a value is not such text, or None.

    >>> text_fault("\\ud83d")
    'holds half a surrogate pair, which is no character'
    """
    if not isinstance(value, str):
        return "is not text"
    if not value.isascii() and HALF_PAIR.search(value):
        return "holds half a surrogate pair, which is no character"
    return None
