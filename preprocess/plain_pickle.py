"""Read a pickle that holds plain containers, and nothing that could run code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from mt_fairseq.errors import UserError


class _PlainUnpickler(pickle.Unpickler):
    """Lists, tuples, dicts, text, numbers and None need no class; anything else is refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_plain_pickle(path: Path) -> Any:
    """The content of a pickle, of Python 2 or 3, that is made of plain containers.

    Errors: UserError for a file that is no pickle, or that asks for any class or function.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return _load(data)
    except MemoryError:
        raise
    except Exception as error:
        # a damaged pickle raises nearly anything: IndexError, KeyError, struct.error, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path}: no pickle of plain lists, dicts, text and numbers ({reason}); "
            "other pickles are not opened, for they may run any code"
        ) from error


def _load(data: bytes) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(data), encoding="utf-8").load()
    except UnicodeDecodeError:  # Python 2's byte strings in another encoding
        return _PlainUnpickler(io.BytesIO(data), encoding="latin-1").load()
