"""Answers that normalising makes empty, equal or other are named before the long work."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocess import answer_spellings
from preprocess.answer_spellings import Spellings

from .raw import build, captions, write_jsonl, write_vqa
from .test_visual_genome import write_vgqa


def warned(tmp_path: Path, capsys: pytest.CaptureFixture[str], answers: list[str]) -> list[str]:
    """The lines of the warning for questions with one answer each."""
    rows = [{**row, "answers": [answer]}
            for row, answer in zip(captions(len(answers)), answers, strict=True)]  # fmt: skip
    build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin", "--min-answer-count", 1)
    lines = capsys.readouterr().err.splitlines()
    start = next((i for i, line in enumerate(lines) if "compared normalised" in line), len(lines))
    end = next((i for i in range(start + 1, len(lines)) if lines[i][:1] != " "), len(lines))
    return lines[start:end]


def test_letters_and_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = ["A"] * 3 + ["B", "AB+", "AB+", "AB-", "-5", "a/b", "Red", "red", "new york"]
    lines = warned(tmp_path, capsys, answers)
    assert lines[0] == (
        "warning: answers are compared normalised, by which 6 vanish, merge or lose a sign (with "
        'questions each); "label" in place of "answers" keeps them as they are'
    )
    assert lines[1:] == [
        '  "A" (3) becomes ""',
        '  "AB+" (2) and "AB-" (1) become "ab"',
        '  "B" (1) and "a/b" (1) become "b"',
        '  "-5" (1) becomes "5"',
    ]


@pytest.mark.parametrize(
    "answers", [["Red", "red", " RED "], ["new  york", "New York"], ["T-shirt"], ["two"], ["a dog"]]
)
def test_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answers: list[str]
) -> None:
    """Case and spaces are no loss, nor is what has one spelling."""
    assert warned(tmp_path, capsys, answers) == []


def test_many_losses_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = [f"{sign}{number}" for number in range(11, 41) for sign in ("+", "-", "")]
    lines = warned(tmp_path, capsys, answers)
    assert "90 vanish, merge" in lines[0]
    assert lines[1] == '  "+11" (1), "-11" (1) and "11" (1) become "11"'
    assert len(lines) == 10 and lines[-1] == "  and 22 more such changes"


def test_official_questions_have_their_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """VQA v2, and Visual Genome's questions beside it: capitals and articles are expected."""
    build("vqav2", write_vqa(tmp_path / "a", images=3), tmp_path / "bin", "--min-answer-count", 1)
    build("vgqa", write_vgqa(tmp_path / "b"), tmp_path / "bin-b", "--min-answer-count", 1)
    assert "compared normalised" not in capsys.readouterr().err


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_spellings, "MOST_SPELLINGS", 10)
    found = Spellings()
    for number in range(10, 1010):
        found.add([f"-{number}"] * 10, str(number))
    assert len(found.found) == 10 and found.unknown == 990
    whole = Spellings()
    whole.update(found)
    whole.update(found)
    assert whole.found["-10"].questions == 2 and whole.unknown == 2 * 990
    assert list(whole.warnings())[-1] == "  (the first 10 spellings were compared)"
