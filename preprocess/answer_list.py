"""Classes from a file that the user names: ``--answer-list``."""

from __future__ import annotations

from pathlib import Path

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.data.files import read_json, read_text
from mt_fairseq.data.text_check import text_fault
from mt_fairseq.errors import UserError


def read_answer_list(path: Path) -> list[str]:
    """Classes from a JSON list, a JSON object answer -> class, or one answer a line, normalised.

    The empty string may be a class: in the usual 3,129 answers of VQA v2 it is class 0.
    Raises UserError for a file that holds no such list, or two spellings of one answer.
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
    return _normalised(answers, path)


def _normalised(answers: list[str], path: Path) -> list[str]:
    """In the same order, since the place is the class."""
    found: dict[str, str] = {}
    for answer in answers:
        normal = normalize_answer(answer)
        if normal in found:
            raise UserError(f"--answer-list {path}: {_same(found[normal], answer, normal)}")
        found[normal] = answer
    return list(found)


def _same(first: str, second: str, normal: str) -> str:
    if first == second:
        return f"{first!r} occurs twice"
    return f"{first!r} and {second!r} are one answer once normalised, {normal!r}; keep one of them"


def _in_order(value: dict[str, object], path: Path) -> list[str]:
    if sorted(value.values(), key=str) != sorted(range(len(value)), key=str):
        raise UserError(f"--answer-list {path}: classes must be 0 to {len(value) - 1}, each once")
    return sorted(value, key=lambda answer: value[answer])  # type: ignore[arg-type,return-value]


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []
