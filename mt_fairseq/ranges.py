"""Ranges of numbers that options take, so that a number out of range is one clear line.

An option of this package names its range in its dataclass field: ``metadata={"range": SHARE}``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mt_fairseq.errors import UserError


@dataclass(frozen=True)
class Range:
    """Numbers from ``least`` to ``most``, both included unless said otherwise.

    Attributes:
        least, most: the bounds.
        below: whether ``most`` itself is out of range.
        above: whether ``least`` itself is out of range.
        off: a value outside that switches the option off.
    """

    least: float = -math.inf
    most: float = math.inf
    below: bool = False
    above: bool = False
    off: float | None = None

    def __contains__(self, value: float) -> bool:
        """False for what is no number, too: NaN, and infinity where nothing bounds the range."""
        if value == self.off:
            return True
        if not math.isfinite(value) or not self.least <= value <= self.most:
            return False
        return not (self.below and value == self.most) and not (self.above and value == self.least)

    def __str__(self) -> str:
        if self.most == math.inf:
            words = f"{'above' if self.above else 'at least'} {self.least:g}"
        else:
            words = f"{'above' if self.above else 'from'} {self.least:g}"
            words += f" {'to below' if self.below else 'to'} {self.most:g}"
        return words if self.off is None else f"{words}, or {self.off:g} for none"

    def check(self, option: str, value: Any) -> None:
        """UserError unless ``value``, or every one of a list, is in the range; None passes."""
        values = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        for one in values:
            if one is not None and one not in self:
                raise UserError(f"{option} {one}: must be {self}")


AT_LEAST_0 = Range(0)
AT_LEAST_1 = Range(1)
ABOVE_0 = Range(0, above=True)
SHARE = Range(0, 1)
SHARE_BELOW_1 = Range(0, 1, below=True)
