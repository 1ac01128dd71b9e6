"""VQA v2: official question and annotation files with COCO's picture folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.errors import UserError
from preprocess.datasets.registry import Reader, missing_field, register_reader
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record

# split of a data-bin: (name in the question file, picture folder); test-dev is a part of test2015
SUBSETS = {
    "train": ("train2014", "train2014"),
    "valid": ("val2014", "val2014"),
    "test": ("test2015", "test2015"),
    "testdev": ("test-dev2015", "test2015"),
}


class Annotations:
    """Annotations by question id; flat memory while both files are in the same order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream = self._checked()
        self.passed: dict[Any, dict[str, Any]] = {}
        self.faults: list[BadRecord] = []

    def _checked(self) -> Iterator[dict[str, Any]]:
        for i, item in enumerate(stream_list(self.path, "annotations")):
            reason = missing_field(item, "question_id", "answers", "multiple_choice_answer")
            if reason:
                self.faults.append(BadRecord(f"{self.path.name}: annotations[{i}]", reason))
            else:
                yield item

    def find(self, question_id: Any) -> dict[str, Any] | None:
        """The annotation of a question, read as far as necessary."""
        if question_id in self.passed:
            return self.passed.pop(question_id)
        for item in self.stream:
            if item["question_id"] == question_id:
                return item
            self.passed[item["question_id"]] = item
        return None

    def left_over(self) -> Iterator[BadRecord]:
        """Annotations that no question asked for, once all questions have."""
        self.passed.update((item["question_id"], item) for item in self.stream)
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
        for i, item in enumerate(stream_list(questions, "questions")):
            reason = missing_field(item, "question_id", "image_id", "question")
            if not reason and not isinstance(item["image_id"], int):
                reason = f'"image_id" is no whole number: {item["image_id"]!r}'
            if reason:
                yield BadRecord(f"{questions.name}: questions[{i}]", reason)
            elif annotations is None:
                yield _record(item, folder, None)
            else:
                found = annotations.find(item["question_id"])
                yield _annotated(item, folder, found)
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


def _annotated(
    item: dict[str, Any], folder: str, annotation: dict[str, Any] | None
) -> Record | BadRecord:
    where = f"question {item['question_id']}"
    if annotation is None:
        return BadRecord(where, "has no annotation, or an earlier question of its id took it")
    answers = annotation["answers"]
    if not isinstance(answers, list) or not answers:
        return BadRecord(where, f'has no answers ("answers" is {answers!r})')
    for i, answer in enumerate(answers):
        reason = missing_field(answer, "answer")
        if reason:
            return BadRecord(where, f"answers[{i}] {reason}")
    return _record(item, folder, annotation)


def _record(item: dict[str, Any], folder: str, annotation: dict[str, Any] | None) -> Record:
    image_id = item["image_id"]
    extra: dict[str, Any] = {"image_id": image_id}
    answers = majority = None
    if annotation is not None:
        answers = tuple(str(answer["answer"]) for answer in annotation["answers"])
        majority = str(annotation["multiple_choice_answer"])
        extra["question_type"] = str(annotation.get("question_type", ""))
        extra["answer_type"] = str(annotation.get("answer_type", ""))
    return Record(
        where=f"question {item['question_id']}",
        sample_id=item["question_id"],
        text=item["question"],
        images=(f"{folder}/COCO_{folder}_{image_id:012d}.jpg",),
        answers=answers,
        majority=majority,
        extra=extra,
    )
