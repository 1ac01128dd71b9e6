"""Visual Genome's questions as further training data for VQA v2.

Half of its pictures are COCO's, so the splits follow COCO's: no picture of COCO's validation and
test parts gets into train. As in ManagerTower's ``vgqa_split.py`` and ``write_vgqa.py``, questions
that a picture has with several answers are left out, and with ``--answer-list`` those whose answer
is no class.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.data.columns import ANSWER_WEIGHT
from mt_fairseq.errors import UserError
from preprocess.answer_list import read_answer_list
from preprocess.datasets.genome_splits import GenomeSplits
from preprocess.datasets.karpathy import SOURCE
from preprocess.datasets.registry import missing_field, register_reader
from preprocess.datasets.visual_genome import SITE, GenomeReader, genome_key, number_fault
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record, agreed

LONE_ANSWER = 0.5
"""What a question counts beside one of VQA v2, in ALBEF's generation of answers."""

QUESTIONS, PICTURES, COCO = "question_answers.json", "image_data.json", "dataset_coco.json"


@register_reader("vgqa")
class VisualGenomeQuestions(GenomeReader):
    """A record a question; ``image_id`` is Visual Genome's number of the picture."""

    summary = "Visual Genome questions (VG-QA), split as COCO's pictures are"
    source = f"{SITE} (question answers, image meta data, images); {COCO}: {SOURCE}"
    has_answers = True
    warns_of_lost_answers = False
    layout: ClassVar[str] = """
        RAW/question_answers.json  (each file may lie one folder deeper)
        RAW/image_data.json  (its coco_id tells COCO's pictures)
        RAW/dataset_coco.json  (Karpathy's splits of COCO)
        IMAGES/VG_100K/2.jpg  (IMAGES is --image-root, else RAW; IMAGES/images/ will do as well)
        IMAGES/VG_100K_2/1.jpg
    """

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        self.by_folder = args.coco_splits == "2014"
        self.coco_only: bool = args.coco_only
        self.known: set[str] | None = None
        if args.answer_list:
            self.known = set(read_answer_list(Path(args.answer_list)))
        self.left_out: Counter[str] = Counter()

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """How pictures are split."""
        parser.add_argument(
            "--coco-splits",
            choices=["karpathy", "2014"],
            default="karpathy",
            help="valid holds the pictures of Karpathy's val and test (default), or those of "
            "val2014, on which VQA v2's valid split asks",
        )
        parser.add_argument(
            "--coco-only",
            action="store_true",
            help="leave out pictures that are not COCO's (otherwise they are in train)",
        )

    def splits(self) -> list[str]:
        """Train and valid, where the questions are there."""
        return ["train", "valid"] if self.find(QUESTIONS) else []

    def remark(self, split: str) -> str | None:
        """What was left out of good records, and why."""
        if not self.left_out:
            return None
        return "; ".join(f"{count:,} {why} left out" for why, count in self.left_out.items())

    def _needed(self, name: str) -> Path:
        path = self.find(name)
        if path is None:
            raise UserError(f"{self.raw / name}: missing; it keeps COCO's splits apart")
        return path

    @cached_property
    def parts(self) -> GenomeSplits:
        """Which split a picture belongs to."""
        return GenomeSplits(self._needed(PICTURES), self._needed(COCO), self.by_folder)

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Questions in the order of the file."""
        self.left_out.clear()
        path = self._needed(QUESTIONS)
        for i, item in enumerate(stream_list(path, None)):
            where = f"{path.name}: [{i}]"
            reason = missing_field(item, "id", "qas") or number_fault(item, "id")
            reason = reason or self.parts.fault(item["id"])
            if reason:
                yield BadRecord(where, reason)
            elif self.parts.of(item["id"], self.coco_only) == split:
                yield from self._questions(item, where)

    def _questions(self, item: dict[str, Any], where: str) -> Iterator[Record | BadRecord]:
        good: list[dict[str, Any]] = []
        answers: dict[str, set[str]] = {}
        for j, qa in enumerate(item["qas"]):
            reason = missing_field(qa, "qa_id", "question", "answer")
            if not reason and not all(isinstance(qa[x], str) for x in ("question", "answer")):
                reason = "its question or its answer is no text"
            if reason:
                yield BadRecord(f"{where}.qas[{j}]", reason)
                continue
            answer = normalize_answer(qa["answer"])
            if self.known is not None and answer not in self.known:
                self.left_out["questions whose answer is no class"] += 1
                continue
            answers.setdefault(qa["question"], set()).add(answer)
            good.append(qa)
        asked: set[str] = set()
        for qa in good:
            question = qa["question"]
            if len(answers[question]) > 1:
                self.left_out["questions with several answers"] += 1
            elif question in asked:
                self.left_out["repeated questions"] += 1
            else:
                asked.add(question)
                yield _record(qa, item["id"])


def _record(qa: dict[str, Any], image_id: int) -> Record:
    return Record(
        where=f"question {qa['qa_id']}",
        sample_id=qa["qa_id"],
        text=qa["question"],
        images=(genome_key(image_id),),
        answers=agreed(qa["answer"]),
        majority=qa["answer"],
        extra={"image_id": image_id, ANSWER_WEIGHT: LONE_ANSWER},
    )
