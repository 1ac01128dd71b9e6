"""Find and read official files in a raw folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation import vqa_report

PARTS = ("train2014", "val2014")


@dataclass(frozen=True)
class RawFolders:
    """Where the official files lie in a raw folder."""

    questions: Path  # holds the v2_*.json files
    images: Path  # holds train2014/ and val2014/
    captions: Path | None  # holds dataset_coco.json or annotations/captions_*.json, if any


def find_raw(root: Path) -> RawFolders:
    """Look in ``root`` and one folder deeper; UserError says what is missing.

    Captions are optional: without them there is no pre-training.
    """
    if not root.is_dir():
        raise UserError(f"--raw {root}: no such folder")
    folders = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
    questions = _first(folders, *(question_file(Path(), part).name for part in PARTS))
    if questions is None:
        names = " and ".join(question_file(Path(), part).name for part in PARTS)
        raise UserError(f"--raw {root}: {names} are not there, nor one folder deeper")
    for part in PARTS:
        if not annotation_file(questions, part).is_file():
            raise UserError(f"{annotation_file(questions, part)} is missing")
    images = _first(folders, *PARTS)
    if images is None:
        raise UserError(
            f"--raw {root}: no folder with the images of {' and '.join(PARTS)} is there, "
            f"such as {root}/{PARTS[0]}/COCO_{PARTS[0]}_000000000009.jpg"
        )
    captions = _first(folders, "annotations/captions_train2014.json")
    for name in ("dataset_coco.json", "karpathy/dataset_coco.json"):
        captions = captions or _first(folders, name)
    return RawFolders(questions, images, captions)


def _first(folders: list[Path], *names: str) -> Path | None:
    """The first folder that holds all the names."""
    return next((f for f in folders if all((f / name).exists() for name in names)), None)


@dataclass(frozen=True)
class VqaSplit:
    """Questions of one part, and the annotations in the same order."""

    texts: list[str]
    question_ids: list[int]
    image_ids: list[int]
    annotations: list[dict[str, Any]]

    @property
    def ids(self) -> list[int]:
        return self.question_ids

    @property
    def groups(self) -> list[int]:
        """Questions about one image stand or fall together."""
        return self.image_ids

    @property
    def answers(self) -> list[str]:
        """The annotators' most frequent answer to each question, normalised."""
        return [normalize_answer(a["multiple_choice_answer"]) for a in self.annotations]

    @property
    def kinds(self) -> list[str]:
        """yes/no, number or other."""
        return [a["answer_type"] for a in self.annotations]

    def credits(self, predictions: Sequence[str]) -> NDArray[np.float64]:
        """The VQA accuracy of each question, 0 to 1."""
        results = [
            {"question_id": question, "answer": answer}
            for question, answer in zip(self.question_ids, predictions, strict=True)
        ]
        return np.asarray(vqa_report(results, self.annotations).credits)


def question_file(folder: Path, part: str) -> Path:
    return folder / f"v2_OpenEnded_mscoco_{part}_questions.json"


def annotation_file(folder: Path, part: str) -> Path:
    return folder / f"v2_mscoco_{part}_annotations.json"


def read_vqa_split(folder: Path, part: str, annotations_in: Path | None = None) -> VqaSplit:
    """Read "train2014", "val2014" or "test2015" (whose answers lie in ``annotations_in``).

    Raises UserError if a file is missing, is not JSON, or the two don't hold the same questions.
    """
    asked = _records(question_file(folder, part), "questions")
    annotated = _records(annotation_file(annotations_in or folder, part), "annotations")
    by_id = {a["question_id"]: a for a in annotated}
    lacking = [q["question_id"] for q in asked if q["question_id"] not in by_id]
    if lacking or not asked:
        what = f"question {lacking[0]} has no annotation" if lacking else "there are no questions"
        raise UserError(f"{question_file(folder, part)}: {what}")
    return VqaSplit(
        texts=[q["question"] for q in asked],
        question_ids=[q["question_id"] for q in asked],
        image_ids=[q["image_id"] for q in asked],
        annotations=[by_id[q["question_id"]] for q in asked],
    )


def _records(path: Path, key: str) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"{path} is missing; it is one of the official VQA v2 files")
    try:
        return json.loads(path.read_text(encoding="utf-8"))[key]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path}: not a JSON object with "{key}" ({error})') from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """One object per line, of the files that the world has written."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
