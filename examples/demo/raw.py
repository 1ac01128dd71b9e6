"""Find and read official VQA v2 and COCO files in a raw folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_fairseq.errors import UserError


@dataclass(frozen=True)
class VqaSplit:
    """Questions of one part, and the annotations in the same order."""

    texts: list[str]
    question_ids: list[int]
    image_ids: list[int]
    annotations: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.texts)


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
