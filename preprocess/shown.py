"""Values of raw files as messages show them: on one line, in few words, whatever they hold."""

from __future__ import annotations

import reprlib
from typing import Any

LONGEST = 80
"""Characters of a text that a message shows."""
MOST = 20
"""Names that a message lists."""
LINE = 400
"""Characters of a whole message."""
LARGE = 1 << 4096
"""Python refuses to write numbers far beyond this one."""


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = LONGEST

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if -LARGE < x < LARGE else "a huge number"


_short = _Short()


def shown(value: Any) -> str:
    """``value`` as Python writes it, cut in its middle where it is long or deep."""
    return _short.repr(value)


def one_line(text: str) -> str:
    """``text`` with line breaks and other characters that cannot be seen as Python escapes them."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= LINE else f"{text[: LINE // 2]} ... {text[-LINE // 2 :]}"


def names_shown(names: Any) -> str:
    """Names of fields, the first ones of many; "nothing" for none."""
    known = list(names)
    plain = (name if isinstance(name, str) and len(name) <= LONGEST else shown(name)
             for name in known[:MOST])  # fmt: skip
    rest = f" and {len(known) - MOST} more" if len(known) > MOST else ""
    return one_line(", ".join(plain) + rest) or "nothing"
