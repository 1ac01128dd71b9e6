"""Questions without a class: counted, warned of, refused before any picture is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, captions, write_jsonl


def questions(answers: list[str]) -> list[dict[str, Any]]:
    return [{**row, "answers": [answer]}
            for row, answer in zip(captions(len(answers)), answers, strict=True)]  # fmt: skip


def test_a_split_without_any_class_is_refused(tmp_path: Path) -> None:
    """A list in another language, say."""
    (tmp_path / "list.txt").write_text("rot\nblau\n")
    raw = write_jsonl(tmp_path / "raw", questions(["Red"] * 3 + ["Blue"]))
    reason = (
        "split 'train' of .*: none of the answers to its 4 questions (most frequent: 'red', "
        "'blue') is one of the 2 classes ('rot', 'blau'); is --answer-list .*list.txt"
    )
    reason = re.escape(reason).replace(r"\.\*", ".*")
    with pytest.raises(UserError, match=reason):
        build("jsonl", raw, tmp_path / "bin", "--answer-list", tmp_path / "list.txt")
    assert not (tmp_path / "bin").exists()


def test_a_split_whose_answers_are_too_rare_is_refused(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", questions(["red"] * 4))
    write_jsonl(raw, questions(["green", "blue"]), "valid")
    with pytest.raises(UserError, match=r"split 'valid' .*; lower --min-answer-count 3, or give"):
        build("jsonl", raw, tmp_path / "bin", "--min-answer-count", 3)
    assert not (tmp_path / "bin").exists()
    build("jsonl", raw, tmp_path / "bin", "--min-answer-count", 3, "--splits", "train")


def test_a_known_answer_of_any_annotator_is_a_class(tmp_path: Path) -> None:
    """Though no majority answer is one."""
    (tmp_path / "list.txt").write_text("red\n")
    rows = [{**row, "answers": ["blue"] * 9 + ["Red"]} for row in captions(3)]
    raw = write_jsonl(tmp_path / "raw", rows)
    data = build("jsonl", raw, tmp_path / "bin", "--answer-list", tmp_path / "list.txt")
    assert DataBin(data).metadata["splits"]["train"]["without_known_answer"] == 0


@pytest.mark.parametrize(("lost", "warned"), [(0, False), (2, False), (3, True), (19, True)])
def test_count_and_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: int, warned: bool
) -> None:
    """Of 20 questions; a tenth is borne, more is not."""
    (tmp_path / "list.txt").write_text("Red\n")
    raw = write_jsonl(tmp_path / "raw", questions(["blue"] * lost + ["red"] * (20 - lost)))
    build("jsonl", raw, tmp_path / "bin", "--answer-list", tmp_path / "list.txt")
    printed = capsys.readouterr().err
    assert f"train: 20 samples on 20 images, {lost} questions without a class" in printed
    warning = f"warning: split 'train': {lost} of 20 questions ({5 * lost} %) have no answer"
    assert (warning in printed) == warned
    assert printed.count("warning: ") == int(warned)


def test_questions_without_answers_are_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_jsonl(tmp_path / "raw", questions(["red"] * 3))
    write_jsonl(raw, captions(3), "test")
    build("jsonl", raw, tmp_path / "bin", "--min-answer-count", 1)
    printed = capsys.readouterr().err
    assert "test: 3 samples on 3 images\n" in printed and "warning" not in printed
