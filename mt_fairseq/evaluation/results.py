"""Labels that a model answered with: collected by a task's inference step, read by scorers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mt_fairseq.data.answer_rules import NORMALISED, OFFICIAL
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.generator import Hypothesis


@dataclass
class Prediction:
    """One sample's answers beside what was asked.

    Attributes:
        id: the sample's own id (question id).
        image: keys of its images in the image pack; one key where there is one.
        text: its text, decoded from the tokens.
        prediction: best label.
        answers: the n best labels, best first.
        scores: their probabilities.
        reference: the annotators' answers; one where the data has a single label, none without.
        answer_type, question_type: the data's own, None without.
        answer_rule: by which they are scored, "official" or "normalised"; None without annotators.
        credit: from 0 to 1, None without a reference. Filled in by a scorer.
    """

    id: str | int
    image: str | list[str]
    text: str
    prediction: str
    answers: list[str]
    scores: list[float]
    reference: list[str]
    answer_type: str | None = None
    question_type: str | None = None
    answer_rule: str | None = None
    credit: float | None = None


@dataclass(frozen=True)
class AccuracyExtras:
    """What a task's accuracy comes with.

    Attributes:
        figures: of the predictions with a reference: name -> percent, beside the accuracy.
        files: of all predictions: name of a file for an official script or server -> its content.
        names: the files' names.
    """

    figures: Callable[[list[Prediction]], dict[str, float]]
    files: Callable[[list[Prediction]], dict[str, str]]
    names: tuple[str, ...]


class LabelResults:
    """Answers to a split: class numbers and scores in memory, texts looked up when asked for."""

    def __init__(self, data_bin: DataBin, split: str) -> None:
        if data_bin.labels is None:
            raise UserError(f"{data_bin.path}: has no labels to answer with")
        self.data_bin = data_bin
        self.split_name = split
        self.split = data_bin.split(split)
        self.labels = list(data_bin.labels)
        self.options: dict[str, Any] = {}
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        self._answers: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, ids: list[int], hypotheses: list[list[Hypothesis]]) -> None:
        """Take a batch's hypotheses; ``ids`` are the samples' rows in the split."""
        labels = self.data_bin.label_dictionary
        assert labels is not None
        for index, best in zip(ids, hypotheses, strict=True):
            classes = [labels.id_to_class(int(hypothesis["tokens"][0])) for hypothesis in best]
            scores = [hypothesis["score"] for hypothesis in best]
            self._answers[index] = (np.array(classes, np.int32), np.array(scores, np.float32))

    def __len__(self) -> int:
        return len(self._answers)

    def missing(self) -> list[int]:
        """Rows of the split without an answer."""
        return [index for index in range(len(self.split)) if index not in self._answers]

    def dump(self) -> Iterator[dict[str, Any]]:
        """Row, answers in words and scores of each sample."""
        for index, (classes, scores) in self._answers.items():
            answers = [self.labels[c] for c in classes]
            yield {"row": index, "answers": answers, "scores": scores.tolist()}

    def load(self, answer: dict[str, Any]) -> None:
        """Inverse of ``dump``; answers that are no classes (free ones) become further labels."""
        for label in answer["answers"]:
            if label not in self._numbers:
                self._numbers[label] = len(self.labels)
                self.labels.append(label)
        numbers = np.array([self._numbers[label] for label in answer["answers"]], np.int32)
        self._answers[answer["row"]] = numbers, np.array(answer["scores"], np.float32)

    def __iter__(self) -> Iterator[Prediction]:
        """Predictions in the order of the split."""
        for index in sorted(self._answers):
            yield self._prediction(index)

    def _prediction(self, index: int) -> Prediction:
        classes, scores = self._answers[index]
        answers = [self.labels[c] for c in classes]
        images = [self.data_bin.images.key(int(i)) for i in self.split.images(index)]
        return Prediction(
            id=self.split.sample_id(index),
            image=images[0] if len(images) == 1 else images,
            text=self.data_bin.dictionary.string(self.split.text(index)),
            prediction=answers[0],
            answers=answers,
            scores=[math.exp(score) for score in scores.tolist()],
            reference=self.reference(index),
            answer_type=self._optional("answer_type", index),
            question_type=self._optional("question_type", index),
            answer_rule=self.answer_rule(index),
        )

    def reference(self, index: int) -> list[str]:
        """The annotators' answers, or the one label that there is, or nothing."""
        if "answers" in self.split.columns:
            return list(cast(list[str], self.split.value("answers", index)))
        if "label" in self.split.columns:
            label = int(cast(int, self.split.value("label", index)))
            return [self.labels[label]] if label >= 0 else []
        return []

    def answer_rule(self, index: int) -> str | None:
        """By which the annotators' answers are scored; None where there are none."""
        if "answers" not in self.split.columns:
            return None
        return OFFICIAL if self._official[index] else NORMALISED

    @cached_property
    def _official(self) -> NDArray[np.bool_]:
        return self.data_bin.official_answers(self.split_name)

    def _optional(self, column: str, index: int) -> str | None:
        if column not in self.split.columns:
            return None
        return cast(str, self.split.value(column, index)) or None
