"""The images that records name: names and places on disk, a few hundred kilobytes in memory."""

from __future__ import annotations

import os
import sqlite3
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from pathlib import Path

from mt_fairseq.errors import UserError

KEYS_AT_ONCE = 4096
CACHE_KIB = 512
"""Memory for pages of the table; the rest stays with the operating system."""
TABLE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE image (position INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
CREATE TABLE fault (key BLOB PRIMARY KEY, reason BLOB NOT NULL) WITHOUT ROWID;
"""


class ImageTable:
    """All images that records name, in order of first use; each file is looked at once.

    A temporary SQLite database, which is gone with this process, however that ends.
    """

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        self.path_of = path_of
        self.count = 0
        self.left_out: list[int] = []  # positions, sorted
        self.table = sqlite3.connect("", isolation_level=None)
        self.table.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self.table.executescript(TABLE)
        self.table.execute("BEGIN")

    def __len__(self) -> int:
        return self.count

    def _ask(self, statement: str, *values: int | bytes) -> sqlite3.Cursor:
        try:
            return self.table.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise UserError(
                f"the table of images in the folder for temporary files: {error}; make room there "
                "or name another with SQLITE_TMPDIR, and run the same command again with --resume"
            ) from error

    def _position(self, key: str) -> int | None:
        found = self._ask("SELECT position FROM image WHERE key = ?", _stored(key))
        row = found.fetchone()
        return None if row is None else row[0]

    def fault(self, key: str) -> str | None:
        """Why an image cannot be used as far as is known, or None."""
        position = self._position(key)
        if position is not None and not self._is_left_out(position):
            return None
        found = self._ask("SELECT reason FROM fault WHERE key = ?", _stored(key))
        row = found.fetchone()
        if row is not None:
            return _text(row[0])
        reason = file_fault(self.path_of(key))
        if reason is None:
            return None
        reason = f"image {key} {reason}"
        self._note_fault(key, reason)
        return reason

    def _note_fault(self, key: str, reason: str) -> None:
        self._ask("INSERT INTO fault VALUES (?, ?)", _stored(key), _stored(reason))

    def use(self, key: str) -> None:
        """Give the image a place, if it has none."""
        added = self._ask("INSERT OR IGNORE INTO image VALUES (?, ?)", self.count, _stored(key))
        self.count += added.rowcount

    def keep(self, count: int) -> None:
        """Forget all images but the first ``count``."""
        self._ask("DELETE FROM image WHERE position >= ?", count)
        self.count = count

    def keys(self, start: int, count: int) -> list[str]:
        """Of ``count`` images from position ``start`` on, or of as many as there are."""
        rows = self._ask(
            "SELECT key FROM image WHERE position >= ? AND position < ? ORDER BY position",
            start, start + count,
        )  # fmt: skip
        return [_text(row[0]) for row in rows]

    def __iter__(self) -> Iterator[str]:
        """All keys in order."""
        for start in range(0, self.count, KEYS_AT_ONCE):
            yield from self.keys(start, KEYS_AT_ONCE)

    def leave_out(self, key: str, reason: str) -> None:
        """Note that an image which has a place could not be decoded."""
        position = self._position(key)
        assert position is not None
        insort(self.left_out, position)
        self._note_fault(key, reason)

    def _is_left_out(self, position: int) -> bool:
        i = bisect_left(self.left_out, position)
        return i < len(self.left_out) and self.left_out[i] == position

    def index(self, key: str) -> int:
        """Index over all packs of an image that can be used."""
        position = self._position(key)
        if position is None:
            raise KeyError(key)
        return position - bisect_left(self.left_out, position)


def _stored(text: str) -> bytes:
    """As SQLite may keep it, whatever a JSON file put into a name."""
    return text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")


def file_fault(path: Path) -> str | None:
    """Missing, a folder, unreadable, or empty."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if os.path.isdir(path):
        return "is a folder"
    if status.st_size == 0:
        return "is empty"
    if not os.access(path, os.R_OK):
        return "cannot be read (permission denied)"
    return None
