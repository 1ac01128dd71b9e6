"""VQA v2: official question and annotation files with COCO's picture folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mt_fairseq.errors import UserError
from preprocess.datasets.registry import Reader, register_reader
from preprocess.fields import FieldFault, Fields, faults_as_records, fields_of
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record

# split of a data-bin: (name in the question file, picture folder); test-dev is a part of test2015
SUBSETS = {
    "train": ("train2014", "train2014"),
    "valid": ("val2014", "val2014"),
    "test": ("test2015", "test2015"),
    "testdev": ("test-dev2015", "test2015"),
}
TYPES = ("question_type", "answer_type")
"""Texts that the official annotations have, and annotations of others may lack."""


class Annotations:
    """Annotations by question id; flat memory while both files are in the same order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[BadRecord] = []
        self.stream = self._checked()
        self.passed: dict[int | str, Fields] = {}

    def _checked(self) -> Iterator[tuple[int | str, Fields]]:
        """Annotations with the number of their question; those without are noted."""
        for entry in fields_of(stream_list(self.path, "annotations"),
                               f"{self.path.name}: annotations"):  # fmt: skip
            try:
                question_id = entry.identity("question_id")
            except FieldFault as fault:
                self.faults.append(fault.as_record())
            else:
                yield question_id, Fields(entry.content, f"question {question_id}")

    def find(self, question_id: int | str) -> Fields | None:
        """The annotation of a question, read as far as necessary."""
        if question_id in self.passed:
            return self.passed.pop(question_id)
        for number, annotation in self.stream:
            if number == question_id:
                return annotation
            self.passed[number] = annotation
        return None

    def left_over(self) -> Iterator[BadRecord]:
        """Annotations that no question asked for, once all questions have."""
        self.passed.update(self.stream)
        yield from self.faults
        for question_id in self.passed:
            yield BadRecord(f"annotation of question {question_id}", "has no question")


@register_reader("vqav2")
class VqaV2(Reader):
    """Questions with ten answers each; test splits have questions only."""

    summary = "VQA v2: official questions, annotations and COCO pictures"
    source = "https://visualqa.org/download.html; pictures: https://cocodataset.org/#download"
    has_answers = True
    official_answers = True
    warns_of_lost_answers = False
    layout: ClassVar[str] = """
        RAW/v2_OpenEnded_mscoco_{train2014,val2014,test2015,test-dev2015}_questions.json
        RAW/v2_mscoco_{train2014,val2014}_annotations.json  (JSON files may lie one folder deeper)
        IMAGES/train2014/COCO_train2014_000000000009.jpg  (IMAGES is --image-root, else RAW)
        IMAGES/val2014/COCO_val2014_000000000042.jpg
        IMAGES/test2015/COCO_test2015_000000000001.jpg
    """

    def split_files(self) -> dict[str, str]:
        """The question files."""
        return {split: f"v2_OpenEnded_mscoco_{subset}_questions.json"
                for split, (subset, _) in SUBSETS.items()}  # fmt: skip

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Questions in the order of the question file."""
        subset, folder = SUBSETS[split]
        questions = self.file_of(split)
        annotations = self._annotations(split, subset, questions)
        entries = fields_of(stream_list(questions, "questions"), f"{questions.name}: questions")
        for question in entries:
            yield from faults_as_records(_record(question, folder, annotations))
        if annotations is not None:
            yield from annotations.left_over()

    def _annotations(self, split: str, subset: str, questions: Path) -> Annotations | None:
        path = self.find(f"v2_mscoco_{subset}_annotations.json")
        if path is None and split in ("train", "valid"):
            raise UserError(
                f"{questions}: its annotations v2_mscoco_{subset}_annotations.json are missing in "
                f"{self.raw}; leave the split out with --splits, or add the file"
            )
        return None if path is None else Annotations(path)


def _record(question: Fields, folder: str, annotations: Annotations | None) -> Iterator[Record]:
    question_id, image_id = question.identity("question_id"), question.whole("image_id")
    text, where = question.text("question"), f"question {question_id}"
    images = (f"{folder}/COCO_{folder}_{image_id:012d}.jpg",)
    if annotations is None:
        yield Record(where, question_id, text, images, extra={"image_id": image_id})
        return
    annotation = annotations.find(question_id)
    if annotation is None:
        raise FieldFault(where, "has no annotation, or an earlier question of its id took it")
    if not annotation.entries("answers"):
        raise annotation.fault('has no answers ("answers" is empty)')
    types = {name: annotation.text(name) if name in annotation else "" for name in TYPES}
    yield Record(
        where,
        question_id,
        text,
        images,
        answers=tuple(answer.text("answer") for answer in annotation.parts("answers")),
        majority=annotation.text("multiple_choice_answer"),
        extra={"image_id": image_id, **types},
    )
