"""Normalisation, soft scores and vocabulary of VQA answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt_fairseq.data.answers import (
    answer_targets,
    build_answer_vocabulary,
    normalize_answer,
    soft_score,
)


def test_every_golden_case(shared_dir: Path) -> None:
    cases = json.loads((shared_dir / "golden" / "vqa_targets.json").read_text())
    wrong = [(a, b, normalize_answer(a)) for a, b in cases["normalize"] if normalize_answer(a) != b]
    assert not wrong and len(cases["normalize"]) > 200
    assert all(soft_score(int(n)) == score for n, score in cases["score"].items())
    assert all(answer_targets(case["answers"]) == case["scores"] for case in cases["targets"])


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("Two Dogs.", "2 dogs"),
        ("dont know", "don't know"),
        ("t-shirt", "t shirt"),
        ("t - shirt", "t shirt"),
        ("1,000-2,000", "10002000"),  # a comma between digits anywhere deletes every mark
        ("the", ""),
        ("3.14", "3.14"),
        ("8 a.m.", "8 am"),
        ("." * 40, "." * 8),  # only 32 full stops are deleted
        ("somebody'd", "somebodyd"),
        ("they'dve", "they'd've"),
        ("Im", "im"),
    ],
)
def test_normalize(raw: str, wanted: str) -> None:
    assert normalize_answer(raw) == wanted


def test_targets_count_after_normalising() -> None:
    answers = ["Yes", "yes.", "no", "YES!", "2", "two", "a dog", "yes", "yes", "yes"]
    assert answer_targets(answers) == {"yes": 1.0, "no": 0.3, "2": 0.6, "dog": 0.3}


def test_vocabulary_in_order_of_first_appearance() -> None:
    answers = ["no"] + ["yes"] * 9 + ["No"] * 8 + ["blue"] * 8
    assert build_answer_vocabulary(answers) == ["no", "yes"]
    assert build_answer_vocabulary(answers, min_count=8) == ["no", "yes", "blue"]
