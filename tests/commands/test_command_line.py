"""The parser and the types of options that all commands of this package share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.command_line import (
    Parser,
    checked,
    existing_path,
    finite_number,
    folder_to_write,
    natural_int,
    parse_shard,
    positive_int,
    positive_number,
    whole_number,
)
from mt_fairseq.errors import UserError
from tests import support


def parsed(kind: Callable[[str], Any], text: str) -> Any:
    parser = Parser(prog="command")
    parser.add_argument("--it", type=kind)
    return parser.parse_args(["--it", text]).it


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (positive_int, "1", 1),
        (natural_int, "0", 0),
        (whole_number(0, 9), "9", 9),
        (positive_number, "1e-5", 1e-5),
        (finite_number, "-3.5", -3.5),
        (checked(parse_shard), "2/8", (2, 8)),
    ],
)
def test_right_values(kind: Callable[[str], Any], text: str, value: Any) -> None:
    assert parsed(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (positive_int, "0", "--it 0: must be at least 1"),
        (positive_int, "-8", "--it -8: must be at least 1"),
        (positive_int, "1.5", "--it 1.5: must be a whole number"),
        (positive_int, "two words", "two words: must be a whole number"),
        (positive_int, "9" * 5000, "9{40}: must be a whole number"),
        (positive_int, "9" * 20, "must be at most 2147483647"),
        (natural_int, "-1", "--it -1: must be at least 0"),
        (whole_number(0, 9), "10", "--it 10: must be at most 9"),
        (finite_number, "nan", "--it nan: must be a finite number"),
        (finite_number, "1e400", "--it 1e400: must be a finite number"),
        (positive_number, "0", "--it 0: must be above 0"),
        (positive_number, "nonsense", "--it nonsense: must be a number"),
        (checked(parse_shard), "0/4", "--it 0/4: write I/N with I from 1 to N"),
        (checked(parse_shard), "1/" + "9" * 5000, "write I/N"),
        (existing_path, "a" * 5000, "no such file or folder"),
        (existing_path, "no\nthing", "no thing: no such file or folder"),
    ],
)
def test_wrong_values_are_one_line(kind: Callable[[str], Any], text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as told:
        parsed(kind, text)
    assert str(told.value).endswith("(`command --help` lists the options)")
    assert "\n" not in str(told.value)


def test_folders_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert parsed(folder_to_write, str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
    with pytest.raises(UserError, match="file: is a file; name a folder"):
        parsed(folder_to_write, str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"below: can't be written; .*file allows no folder"):
        parsed(folder_to_write, str(tmp_path / "file" / "below"))


def test_sub_commands_and_missing_options() -> None:
    parser = Parser(prog="command")
    command = parser.add_subparsers(required=True, dest="name").add_parser("run")
    command.add_argument("--it", required=True, choices=["a", "b"])
    for words, reason in (
        ([], "required: name .`command --help`"),
        (["run"], "required: --it .`command run --help`"),
        (["run", "--it", "c"], "--it: invalid choice: 'c'"),
        (["run", "--it", "a", "--that"], "unrecognized arguments: --that"),
    ):
        with pytest.raises(UserError, match=reason):
            parser.parse_args(words)
    assert isinstance(command, Parser) and isinstance(parser, argparse.ArgumentParser)


def test_at_a_command_line() -> None:
    done = support.python("-m", "mt_fairseq.plan", "vqa", "--gpus", "x", "--memory", 8, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == (
        "error: --gpus x: must be a whole number "
        "(`python -m mt_fairseq.plan --help` lists the options)\n"
    )
