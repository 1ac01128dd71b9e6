"""Whole files or none: temporary file, flush to disk, rename; a full disk is one clear line."""

from __future__ import annotations

import codecs
import errno
import hashlib
import io
import json
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from mt_fairseq.data.json_text import parse_json
from mt_fairseq.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OTHER_FILES = 512
"""What a training process has open beside a data-bin's packs: libraries, pipes, shared memory."""
DENIED = {errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}


@contextmanager
def full_disk_is_clear(path: Path) -> Iterator[None]:
    """Turn the operating system's "no space", "quota" or "file too large" into a UserError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = _error_number(error)
        if number in FULL:
            raise UserError(
                f"{path}: {os.strerror(number).lower()} while writing; "
                "make room and run the same command again with --resume"
            ) from error
        if number in DENIED:
            raise UserError(f"{path}: cannot be written ({os.strerror(number)})") from error
        raise


def _error_number(error: OSError | RuntimeError) -> int:
    """The operating system's number of an error; HDF5 tells it in its message only."""
    told = re.search(r"errno = (\d+)", str(error))
    if told:
        return int(told[1])
    return (error.errno or 0) if isinstance(error, OSError) else 0


def temporary_name(path: Path) -> Path:
    """A name beside ``path`` that no other process uses and that ``--resume`` clears away."""
    return path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.tmp")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write; on success flush it and rename it to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with full_disk_is_clear(path):
            yield temporary
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Like :func:`atomic_path`, with the file already open for binary writing."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        yield stream


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with plain newlines, atomically."""
    with atomic_file(path) as stream:
        stream.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; keys stay in their order, so equal content is equal bytes."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    with atomic_file(path) as stream:
        # half a surrogate pair (of a file name, say) has no UTF-8, but JSON can escape it
        stream.write(text.encode("utf-8", "backslashreplace"))


OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def open_binary(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file of UTF-8 text as bytes, at its first byte.

    Raises:
        UserError: it cannot be read, or begins as UTF-16 or UTF-32 does.
    """
    try:
        with open(path, "rb") as stream:
            begin = stream.peek(4)[:4]
            if begin.startswith(OTHER_ENCODINGS) or b"\0" in begin:
                raise UserError(f"{path}: is UTF-16, UTF-32 or binary; save it as UTF-8 text")
            yield stream
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


@contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """Open UTF-8 text, with or without a byte-order mark; ``newline`` as for ``open``.

    Raises:
        UserError: as :func:`open_binary`, or it turns out not to be UTF-8 while it is read.
    """
    with open_binary(path) as stream:
        try:
            yield io.TextIOWrapper(stream, encoding="utf-8-sig", newline=newline)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 text ({error.reason})") from error


def text_lines(path: Path) -> Iterator[str | None]:
    """Lines of a text file without their ends; None for a line that is not UTF-8."""
    with open_binary(path) as stream:
        for line in stream:
            try:
                yield line.rstrip(b"\r\n").decode("utf-8-sig")
            except UnicodeDecodeError:
                yield None


def read_text(path: Path) -> str:
    """A whole text file, opened by :func:`open_text`."""
    with open_text(path) as stream:
        return stream.read()


def read_json(path: Path) -> Any:
    """Parse a JSON file; UserError names file, line and reason."""
    try:
        return parse_json(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: not valid JSON (line {error.lineno}, column {error.colno}: {error.msg})"
        ) from error


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def make_room_for_files(count: int) -> None:
    """Let this process, and those it starts, hold ``count`` files open beside its others.

    Systems allow 1,024 unless asked, which is less than millions of images have packs.

    Raises:
        UserError: the system does not allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY:
        if hard <= count:
            raise UserError(
                f"{count:,} open files are needed for the image packs and this system allows "
                f"{hard:,}: raise it with `ulimit -Hn`, or write the data-bin with a larger "
                "--images-per-pack"
            )
        needed = min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
