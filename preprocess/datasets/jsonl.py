"""A user's own data: one JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.errors import UserError
from preprocess.datasets.registry import Reader, register_reader
from preprocess.json_lines import json_lines
from preprocess.records import BadRecord, Record, agreed

RENAMED = {"val": "valid", "validation": "valid", "dev": "valid"}
KNOWN = {"id", "text", "image", "images", "label", "answers"}


@register_reader("jsonl")
class JsonLines(Reader):
    """Objects with ``image`` or ``images``, ``text``, optionally ``id``, ``label``, ``answers``."""

    summary = "your own data: train.jsonl, valid.jsonl, ... with one JSON object a line"
    has_answers = True
    layout: ClassVar[str] = """
        RAW/train.jsonl, RAW/valid.jsonl, RAW/test.jsonl  (each file is a split)
        {"image": "dogs/1.jpg", "text": "A dog."}  (caption; path from --image-root or RAW)
        {"image": "dogs/1.jpg", "text": "What is it?", "answers": ["dog"]}  (1 to 10 answers)
        {"image": "dogs/1.jpg", "text": "It sleeps.", "label": "no"}  (class)
        {"images": ["1.jpg", "2.jpg"], "text": "Both sleep.", "label": "yes"}  (two pictures)
    """

    def _files(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in sorted(self.raw.glob("*.jsonl")):
            split = RENAMED.get(path.stem, path.stem)
            if split in found:
                raise UserError(f"{found[split]} and {path} are both split {split!r}; keep one")
            found[split] = path
        return found

    def splits(self) -> list[str]:
        """Names of the files; train, valid and test first."""
        order = ["train", "valid", "test"]
        return sorted(self._files(), key=lambda s: (order.index(s) if s in order else 3, s))

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """One record a line; blank lines are passed over."""
        for number, where, item in json_lines(self._files()[split]):
            yield item if isinstance(item, BadRecord) else _record(item, where, number)


def _record(item: Any, where: str, number: int) -> Record | BadRecord:
    reason = _fault(item)
    if reason:
        return BadRecord(where, reason)
    answers = _answers(item.get("answers"))
    images = item["images"] if "images" in item else [item["image"]]
    return Record(
        where=where,
        sample_id=item.get("id", number),
        text=item["text"],
        images=tuple(images),
        answers=answers,
        majority=_majority(answers),
        label=_label(item["label"]) if item.get("label") is not None else None,
    )


def _fault(item: Any) -> str | None:
    """Why a line cannot be used, or None."""
    if not isinstance(item, dict):
        return "is no JSON object"
    if "text" not in item:
        return f'lacks "text" (it has {", ".join(item) or "nothing"})'
    if ("image" in item) == ("images" in item):
        return f'needs "image" or "images", and one of them only (it has {", ".join(item)})'
    unknown = sorted(set(item) - KNOWN)
    if unknown:
        return f"has unknown fields {', '.join(unknown)}; known are {', '.join(sorted(KNOWN))}"
    images = item["images"] if "images" in item else [item["image"]]
    if (
        not isinstance(images, list)
        or not images
        or not all(isinstance(x, str) and x for x in images)
    ):
        return "its pictures must be file names"
    answers = item.get("answers")
    if answers is not None and (
        not isinstance(answers, list) or not answers or not all(isinstance(x, str) for x in answers)
    ):
        return '"answers" must be a list of strings'
    if answers is not None and item.get("label") is not None:
        return '"answers" and "label" exclude each other'
    if not isinstance(item.get("id", 0), (int, str)) or isinstance(item.get("id"), bool):
        return '"id" must be a whole number or a string'
    if not isinstance(item.get("label"), (str, int, type(None))):
        return '"label" must be a string, a whole number, true or false'
    return None


def _answers(answers: list[str] | None) -> tuple[str, ...] | None:
    if answers is None:
        return None
    return agreed(answers[0]) if len(answers) == 1 else tuple(answers)


def _majority(answers: tuple[str, ...] | None) -> str | None:
    """The most frequent answer, the first of several."""
    if answers is None:
        return None
    return Counter(map(normalize_answer, answers)).most_common(1)[0][0]


def _label(label: str | int | bool) -> str:
    """Class name; true and false as JSON spells them."""
    return label if isinstance(label, str) else json.dumps(label)
