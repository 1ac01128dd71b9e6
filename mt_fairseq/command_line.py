"""What the commands of this package share: errors of one line, and numbers checked as parsed."""

from __future__ import annotations

import argparse
import functools
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mt_fairseq.errors import UserError
from mt_fairseq.user_parts import HELP, OPTION, import_named

T = TypeVar("T")
MOST = 2**31 - 1
MOST_DIGITS = 10


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UserErrors of one line, in place of a usage of many lines.

    Every command takes ``--user-dir``, whose parts are registered before the other options are
    read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_argument(OPTION, metavar="DIR", type=Path, help=HELP)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        import_named(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        # "argument --workers: 0: must be ..." -> "--workers 0: must be ..."
        told = re.sub(r"^argument (\S+): (?=\S+: )", r"\1 ", message).removeprefix("argument ")
        raise UserError(f"{' '.join(told.split())} (`{self.prog} --help` lists the options)")


def checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """The type of an option whose value ``read`` turns into what is wanted, or into a UserError."""

    @functools.wraps(read)
    def value(text: str) -> T:
        try:
            return read(text)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return value


def parse_shard(text: str) -> tuple[int, int]:
    """``"1/4"`` -> (1, 4); UserError for anything else."""
    number, slash, count = text.partition("/")
    written = slash and number.isdecimal() and count.isdecimal() and len(count) < MOST_DIGITS
    if written and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise UserError(f"{text:.40}: write I/N with I from 1 to N, for example 1/4")


def whole_number(least: int, most: int = MOST) -> Callable[[str], int]:
    """The type of an option that takes whole numbers from ``least`` to ``most``."""

    def value(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text:.40}: must be a whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{text:.40}: must be at least {least}")
        if number > most:
            raise argparse.ArgumentTypeError(f"{text:.40}: must be at most {most}")
        return number

    return value


positive_int = whole_number(1)
natural_int = whole_number(0)


def finite_number(text: str) -> float:
    """The type of an option that takes any number but infinity."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text:.40}: must be a number") from None
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text:.40}: must be a finite number")
    return number


def positive_number(text: str) -> float:
    """The type of an option that takes numbers above 0."""
    number = finite_number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text:.40}: must be above 0")
    return number


def existing_path(text: str) -> Path:
    """The type of an option that names a file or folder to read."""
    if not os.path.exists(text):  # Path.exists raises an error for a name that is too long
        raise argparse.ArgumentTypeError(f"{text}: no such file or folder")
    return Path(text)


def folder_to_write(text: str) -> Path:
    """The type of an option that names a folder to write, which is made later if need be."""
    path = Path(text)
    if os.path.exists(path) and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: is a file; name a folder")
    there = next(folder for folder in (path, *path.absolute().parents) if os.path.exists(folder))
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text}: can't be written; {there} allows no folder")
    return path
