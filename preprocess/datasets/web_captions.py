"""What Conceptual Captions and SBU share: captions with addresses, pictures fetched by the user.

No official archive holds the pictures, and every downloader names them in its own way; so a
pattern says which file belongs to which line.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import posixpath
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from mt_fairseq.errors import UserError
from preprocess.datasets.registry import Reader
from preprocess.fields import Fields, faults_as_records
from preprocess.image_keys import normal_key
from preprocess.records import BadRecord, Record

CAPTION, URL, FILE = "caption", "address", "file"
"""Fields of a line; few lines name the picture's file."""


class WebCaptions(Reader):
    """A record a line; ``sample_id`` is the number of the line, from 0."""

    pattern: ClassVar[str]

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        self.chosen: str = args.image_name
        self.root = os.path.abspath(self.image_root)
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
    def lines(self, split: str) -> Iterator[Fields]:
        """The fields CAPTION, URL and perhaps FILE of every line."""

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Captions in the order of the file."""
        for number, line in enumerate(self.lines(split)):
            yield from faults_as_records(self._record(line, split, number))

    def _record(self, line: Fields, split: str, number: int) -> Iterator[Record]:
        caption, url = line.text(CAPTION), line.text(URL)
        named = line.text(FILE) if FILE in line else ""
        name = named or picture_name(self.chosen, split, number, url)
        key = normal_key(name, self.root, line.where)
        yield Record(line.where, number, caption, (key,), extra={"image_id": picture_number(key)})


def picture_name(pattern: str, split: str, number: int, url: str) -> str:
    """The pattern filled in; UserError for a field that it does not know."""
    name = _last_part(url)
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


def _last_part(url: str) -> str:
    """The file's name in an address; nothing for what is no address."""
    try:
        return posixpath.basename(unquote(urlsplit(url).path))
    except ValueError:  # brackets that hold no IPv6 address
        return ""


def picture_number(key: str) -> int:
    """A number of 56 bits for a picture, the same for all captions that share its file."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest(), "big")
