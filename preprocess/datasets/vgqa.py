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
from typing import ClassVar

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.data.columns import ANSWER_WEIGHT
from mt_fairseq.errors import UserError
from preprocess.answer_list import read_answer_list
from preprocess.datasets.genome_splits import GenomeSplits
from preprocess.datasets.karpathy import SOURCE
from preprocess.datasets.registry import register_reader
from preprocess.datasets.visual_genome import SITE, GenomeReader, genome_key
from preprocess.fields import Fields, faults_as_records, fields_of
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
        for picture in fields_of(stream_list(path, None), f"{path.name}: "):
            yield from faults_as_records(self._of_picture(picture, split))

    def _of_picture(self, picture: Fields, split: str) -> Iterator[Record | BadRecord]:
        image_id = picture.whole("id")
        reason = self.parts.fault(image_id)
        if reason:
            raise picture.fault(reason)
        if self.parts.of(image_id, self.coco_only) != split:
            return
        good: list[Record] = []
        for qa in picture.parts("qas"):
            for record in faults_as_records(self._question(qa, image_id)):
                if isinstance(record, Record):
                    good.append(record)
                else:
                    yield record
        yield from self._agreeing(good)

    def _question(self, qa: Fields, image_id: int) -> Iterator[Record]:
        """A question, unless its answer is no class."""
        qa_id, question, answer = qa.identity("qa_id"), qa.text("question"), qa.text("answer")
        if self.known is not None and normalize_answer(answer) not in self.known:
            self.left_out["questions whose answer is no class"] += 1
            return
        yield Record(
            where=f"question {qa_id}",
            sample_id=qa_id,
            text=question,
            images=(genome_key(image_id),),
            answers=agreed(answer),
            majority=answer,
            extra={"image_id": image_id, ANSWER_WEIGHT: LONE_ANSWER},
        )

    def _agreeing(self, questions: list[Record]) -> Iterator[Record]:
        """Those of a picture's questions that have one answer, each once."""
        answers: dict[str, set[str]] = {}
        for record in questions:
            answers.setdefault(record.text, set()).add(normalize_answer(record.majority or ""))
        asked: set[str] = set()
        for record in questions:
            if len(answers[record.text]) > 1:
                self.left_out["questions with several answers"] += 1
            elif record.text in asked:
                self.left_out["repeated questions"] += 1
            else:
                asked.add(record.text)
                yield record
