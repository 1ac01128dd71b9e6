"""Read a pickle that holds plain containers, and nothing that could run code."""

from __future__ import annotations

import io
import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from mt_fairseq.errors import UserError

MEMORY_PER_BYTE, SPARE_MEMORY = 100, 1 << 30
"""More than the objects of a pickle need, in bytes per byte of the file, and on top of that."""
OWN_MEMORY = Path("/proc/self/statm")
"""Linux's account of this process, in pages: the address space first."""


class _PlainUnpickler(pickle.Unpickler):
    """Lists, tuples, dicts, text, numbers and None need no class; anything else is refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_plain_pickle(path: Path) -> Any:
    """The content of a pickle, of Python 2 or 3, that is made of plain containers.

    Errors: UserError for a file that is no pickle, or that asks for any class or function, or for
    more memory than its size explains.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        with _bounded_memory(len(data)):
            return _load(data)
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


@contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    """Turn a damaged pickle's demand for memory into a MemoryError.

    One changed byte can ask the unpickler to make room for billions of remembered objects, which
    ends in the system killing this process.
    """
    if not OWN_MEMORY.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(OWN_MEMORY.read_text().split()[0]) * resource.getpagesize()
    limit = used + MEMORY_PER_BYTE * size + SPARE_MEMORY
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
