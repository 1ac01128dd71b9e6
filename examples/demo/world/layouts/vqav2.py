"""VQA v2: question and annotation files over the COCO pictures, ten answers each.

The official test2015 has questions alone. Its answers are written apart, in the annotation
format, where no reader of the official layout looks for them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from examples.demo.world.annotators import answers
from examples.demo.world.layouts.common import INFO, LICENSE, Picture, write_json
from examples.demo.world.questions import Question, questions
from examples.demo.world.scene import rng_of


def write_vqa(
    root: Path, kept_back: Path, seed: int, parts: dict[str, list[Picture]], per_image: int
) -> None:
    """Questions of every part; annotations beside those of train2014 and val2014 only."""
    for part, pictures in parts.items():
        asked: list[dict[str, Any]] = []
        annotated: list[dict[str, Any]] = []
        for picture in pictures:
            rng = rng_of(seed, "questions", part, picture.image_id)
            for i, question in enumerate(questions(rng, picture.scene, per_image)):
                question_id = picture.image_id * 1000 + i
                asked.append(
                    {
                        "image_id": picture.image_id,
                        "question": question.text,
                        "question_id": question_id,
                    }
                )
                ten = answers(rng, question.answer)
                annotated.append(_annotation(picture.image_id, question_id, question, ten))
        head = {"info": INFO, "license": LICENSE, "data_type": "mscoco", "data_subtype": part}
        write_json(
            root / f"v2_OpenEnded_mscoco_{part}_questions.json",
            {**head, "task_type": "Open-Ended", "questions": asked},
        )
        folder = kept_back if part.startswith("test") else root
        write_json(
            folder / f"v2_mscoco_{part}_annotations.json", {**head, "annotations": annotated}
        )


def _annotation(
    image_id: int, question_id: int, question: Question, ten: list[dict]
) -> dict[str, Any]:
    majority = Counter(a["answer"] for a in ten).most_common(1)[0][0]
    return {
        "question_type": question.question_type,
        "multiple_choice_answer": majority,
        "answers": ten,
        "image_id": image_id,
        "answer_type": question.answer_type,
        "question_id": question_id,
    }
