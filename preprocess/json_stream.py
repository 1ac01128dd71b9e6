"""Read a list in a large JSON file element by element, with flat memory.

The annotation files of VQA v2 hold 4 million answers in 365 MB; parsed at once they take gigabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from mt_fairseq.data.files import open_text
from mt_fairseq.data.json_text import DECODER, NestedTooDeeply
from mt_fairseq.errors import UserError
from preprocess.shown import names_shown

CHUNK = 1 << 20
SPACE = re.compile(r"[ \t\r\n]*")


def stream_list(path: Path, key: str | None) -> Iterator[Any]:
    """Elements of the list under ``key`` of the top-level object of a JSON file.

    With ``key`` None the file itself is the list.

    Errors: UserError for a missing file, text that is no JSON (with its position), or no such list.
    """
    with open_text(path) as stream:
        parser = _Parser(path, stream)
        yield from parser.items() if key is None else parser.elements(key)


class _Parser:
    """A window of text that moves through the file."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self.path, self.stream = path, stream
        self.text, self.at = "", 0
        self.passed = 0  # characters already dropped in front of the window

    def elements(self, key: str) -> Iterator[Any]:
        """Walk the members of the top-level object until ``key``; skip the others."""
        self._expect("{")
        found: list[Any] = []
        while self._peek() != "}":
            name = self._value()
            self._expect(":")
            if name == key:
                if self._peek() != "[":
                    raise UserError(f'{self.path}: "{key}" is not a list')
                yield from self.items()
                return
            self._skip()
            found.append(name)
            if self._peek() == ",":
                self._expect(",")
        raise UserError(f'{self.path}: has no list "{key}" (only {names_shown(found)})')

    def items(self) -> Iterator[Any]:
        """Elements of the list that begins here."""
        self._expect("[")
        while self._peek() != "]":
            yield self._value()
            if self._peek() == ",":
                self._expect(",")
                if self._peek() == "]":
                    raise self._error("a comma before the end of a list")
            elif self._peek() != "]":
                raise self._error("expected a comma or the end of a list")
        self._expect("]")

    def _skip(self) -> None:
        """Pass over a value; lists element by element, because they may be long."""
        if self._peek() == "[":
            for _ in self.items():
                pass
        else:
            self._value()

    def _more(self) -> bool:
        """Drop what has been read and add a chunk; chunks grow with the value being read."""
        rest = self.text[self.at :]
        new = self.stream.read(max(CHUNK, len(rest)))
        self.passed += self.at
        self.text, self.at = rest + new, 0
        return bool(new)

    def _peek(self) -> str:
        """The next character that is no white space."""
        while True:
            match = SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                raise self._error("the file ends too early")

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise self._error(f"expected {mark!r}")
        self.at += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if isinstance(error, NestedTooDeeply) or not self._more():
                    raise self._error(error.msg) from error
                continue
            if self._may_go_on(value, end) and self._more():
                continue  # read it again in the longer window
            self.at = min(end, len(self.text))
            return value

    def _may_go_on(self, value: Any, end: int) -> bool:
        """Whether a number was cut by the end of the window: 1 of 12, 0 of 0.5 or of 0e7."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return end == len(self.text) or self.text[end] in ".eE"

    def _error(self, reason: str) -> UserError:
        where = self.passed + self.at + 1
        return UserError(f"{self.path}: not valid JSON (character {where:,}: {reason})")
