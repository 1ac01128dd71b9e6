"""Classes from a file that the user names: ``--answer-list``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mt_fairseq.data.files import read_json, read_text
from mt_fairseq.data.text_check import text_fault
from mt_fairseq.errors import UserError


def read_answer_list(path: Path) -> list[str]:
    """Classes from a JSON list, a JSON object answer -> class, or one answer a line.

    The empty string may be a class: in the usual 3,129 answers of VQA v2 it is class 0.
    """
    try:
        value = read_json(path) if path.suffix == ".json" else _lines(read_text(path))
    except UserError as error:
        raise UserError(f"--answer-list {error}") from error
    answers = _in_order(value, path) if isinstance(value, dict) else value
    if not isinstance(answers, list) or any(map(text_fault, answers)):
        raise UserError(f"--answer-list {path}: must hold answers as strings")
    if not answers:
        raise UserError(f"--answer-list {path}: holds no answers")
    if len(set(answers)) != len(answers):
        twice = Counter(answers).most_common(1)[0][0]
        raise UserError(f"--answer-list {path}: {twice!r} occurs twice")
    return answers


def _in_order(value: dict[str, object], path: Path) -> list[str]:
    if sorted(value.values(), key=str) != sorted(range(len(value)), key=str):
        raise UserError(f"--answer-list {path}: classes must be 0 to {len(value) - 1}, each once")
    return sorted(value, key=lambda answer: value[answer])  # type: ignore[arg-type,return-value]


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []
