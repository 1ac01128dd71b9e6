"""A user's own data: one JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.errors import UserError
from preprocess.datasets.registry import Reader, register_reader
from preprocess.fields import Fields, faults_as_records
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
        for path in self.glob("*.jsonl"):
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
        for number, line in json_lines(self._files()[split]):
            yield from faults_as_records(_record(line, number))


def _record(line: Fields, number: int) -> Iterator[Record]:
    text, images = line.text("text"), _images(line)
    line.only(KNOWN)
    answers = _answers(line.texts("answers")) if line.given("answers") else None
    label = _label(line) if line.given("label") else None
    if answers is not None and label is not None:
        raise line.fault('"answers" and "label" exclude each other')
    yield Record(
        where=line.where,
        sample_id=line.identity("id") if "id" in line else number,
        text=text,
        images=tuple(images),
        answers=answers,
        majority=None if answers is None else _majority(answers),
        label=label,
    )


def _images(line: Fields) -> list[str]:
    if ("image" in line) == ("images" in line):
        raise line.fault(f'needs "image" or "images", and one of them only (it has {line.names})')
    return line.texts("images") if "images" in line else [line.text("image")]


def _answers(answers: list[str]) -> tuple[str, ...]:
    return agreed(answers[0]) if len(answers) == 1 else tuple(answers)


def _majority(answers: tuple[str, ...]) -> str:
    """The most frequent answer, the first of several."""
    return Counter(map(normalize_answer, answers)).most_common(1)[0][0]


def _label(line: Fields) -> str:
    """Class name; true, false and whole numbers as JSON spells them."""
    value = line.value("label")
    return json.dumps(value) if isinstance(value, bool) else str(line.identity("label"))
