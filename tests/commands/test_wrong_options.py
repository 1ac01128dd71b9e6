"""Every command of the pages with each of its options once wrong: one line, nothing written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt_fairseq.command_line import Parser
from mt_fairseq.errors import UserError, last_line
from tests.commands.workplace import OUTPUTS, commands, main_of, prepare
from tests.wrong_options import Wrong, wrong_commands

FREE = {*OUTPUTS, "--text", "--label"}
"""Any value is right: folders to write, texts, names."""
FREE_OF = {
    "mt_fairseq.convert export": {"--data"},
    "mt_fairseq.evaluate compare": {"argument 1"},  # else it is another command
    "mt_fairseq.evaluate merge": {"argument 1"},
    "preprocess vgqa": {"--splits"},  # raw files must be there: preprocess/test_bad_options.py
}
COMMANDS = list(commands())
FURTHER = [
    "benchmarks",
    "examples.demo.baselines",
    "examples.demo.shuffle_images",
    "examples.demo.world",
    "examples/demo/run.py",
]
"""Programs whose options no page names."""


@pytest.fixture(scope="module")
def real(
    vqa_checkpoint: Path, question_bin: Path, raw_questions: Path, vqa_results: Path
) -> dict[str, Path]:
    """What the paths of the pages stand for."""
    return {
        "checkpoint": vqa_checkpoint / "checkpoint_last.pt",
        "checkpoints": vqa_checkpoint,
        "data-bin": question_bin,
        "labels": question_bin / "dict.label.txt",
        "raw": raw_questions,
        "image": raw_questions / "images" / "train-0.png",
        "results": vqa_results,
        "part": vqa_results,
    }


def wrong(program: str, arguments: list[str]) -> Iterator[Wrong]:
    free = FREE_OF.get(f"{program} {arguments[0]}", set()) if arguments else set()
    return wrong_commands(arguments, FREE | free)


def error_of(program: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line that a command ends with; of fairseq's parser, which gets what follows --, too."""
    with pytest.raises((UserError, SystemExit)) as told:
        main_of(program)(words)
        pytest.fail(f"{words} are taken")
    if isinstance(told.value, UserError):
        return last_line(told.value)
    assert told.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def listing(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize(
    ("program", "arguments"), COMMANDS, ids=[" ".join([p, *a])[:70] for p, a in COMMANDS]
)
def test_each_option_once_wrong(
    program: str,
    arguments: list[str],
    real: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path, arguments, real)
    before = listing(tmp_path)
    for case in wrong(program, arguments):
        message = error_of(program, case.words, capsys)
        assert case.value in message or case.option in message, f"{case}: {message}"
        assert listing(tmp_path) == before, case


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its sub-commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from parsers(command)


@pytest.mark.parametrize("program", sorted({*(program for program, _ in COMMANDS), *FURTHER}))
def test_every_number_of_every_command_has_a_range(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of options that no page names."""
    found: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *args: object, **kwargs: object) -> None:
        found.append(parser)
        raise StopIteration

    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, stop)
    for command in {"", *(a[0] for p, a in COMMANDS if p == program and a)}:
        with pytest.raises(StopIteration):
            main_of(program)([command])
    for parser in (one for top in found for one in parsers(top)):
        assert isinstance(parser, Parser)
        for action in parser._actions:
            assert action.type not in (int, float), f"{parser.prog} {action.dest}"
