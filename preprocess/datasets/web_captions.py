"""What Conceptual Captions and SBU share: captions with addresses, pictures fetched by the user.

No official archive holds the pictures, and every downloader names them in its own way; so a
pattern says which file belongs to which line.
"""

from __future__ import annotations

import argparse
import hashlib
import posixpath
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

from mt_fairseq.errors import UserError
from preprocess.datasets.registry import Reader
from preprocess.records import BadRecord, Record


class Line(NamedTuple):
    """A caption with the address of its picture, and the picture's file if the line names it."""

    caption: str
    url: str
    file: str | None = None


class WebCaptions(Reader):
    """A record a line; ``sample_id`` is the number of the line, from 0."""

    pattern: ClassVar[str]

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        self.chosen: str = args.image_name
        picture_name(self.chosen, "train", 0, "http://host/name.jpg")

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """How picture files are named."""
        parser.add_argument(
            "--image-name",
            metavar="PATTERN",
            default=cls.pattern,
            help="file of a line's picture under IMAGES, from {split} (train, valid), {line} (from "
            "0; {line:08d} with zeros), {name} (the last part of the address) and {crc32} (of the "
            f"address); default {cls.pattern}".replace("%", "%%"),
        )

    @abstractmethod
    def lines(self, split: str) -> Iterator[tuple[str, Line | str]]:
        """What messages call a line, and the line, or why it cannot be used."""

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Captions in the order of the file."""
        for number, (where, line) in enumerate(self.lines(split)):
            if isinstance(line, str):
                yield BadRecord(where, line)
                continue
            key = line.file or picture_name(self.chosen, split, number, line.url)
            extra = {"image_id": picture_number(key)}
            yield Record(where, number, line.caption, (key,), extra=extra)


def picture_name(pattern: str, split: str, number: int, url: str) -> str:
    """The pattern filled in; UserError for a field that it does not know."""
    name = posixpath.basename(unquote(urlsplit(url).path))
    fields: dict[str, Any] = {
        "split": split, "line": number, "name": name, "crc32": zlib.crc32(url.encode()),
    }  # fmt: skip
    try:
        return pattern.format(**fields)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise UserError(
            f"--image-name {pattern}: cannot be filled in ({type(error).__name__}: {error}); "
            f"the fields are {', '.join(f'{{{field}}}' for field in fields)}"
        ) from error


def picture_number(key: str) -> int:
    """A number of 56 bits for a picture, the same for all captions that share its file."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest(), "big")


def text_lines(path: Path) -> Iterator[bytes]:
    """Lines of a file without their ends."""
    try:
        with open(path, "rb") as stream:
            for line in stream:
                yield line.rstrip(b"\r\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def decoded(line: bytes) -> str | None:
    """UTF-8 text, or None if it is none."""
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
