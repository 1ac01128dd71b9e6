"""What every scorer of this package gives, and the way from a task's answers to it.

fairseq's scorers get to see a reference and a top hypothesis as strings, which is not enough for
ten annotators, types of questions or ranked galleries. So the inference step of a task collects
what the model answered, and the scorer reads that collection. fairseq makes a scorer from its name
and the task's target dictionary: the collection comes with the dictionary.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from fairseq import scoring
from fairseq.scoring import BaseScorer
from fairseq.tasks import TASK_REGISTRY

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError


class Collection(Protocol):
    """Answers to a split, as they come in.

    Attributes:
        options: what ``TaskScorer.collection`` needs to make an empty one, as plain values.
    """

    options: dict[str, Any]

    def add(self, ids: list[int], hypotheses: list[Any]) -> None:
        """Take a batch's hypotheses; ``ids`` are the samples' rows in the split."""

    def missing(self) -> list[int]:
        """Rows of the split without an answer."""

    def dump(self) -> Iterable[dict[str, Any]]:
        """The answers that came in, each as plain values."""

    def load(self, answer: dict[str, Any]) -> None:
        """Take an answer that ``dump`` gave in another process."""


@dataclass(frozen=True)
class Answered:
    """What the model answers, and for which task; travels with the task's target dictionary."""

    task: str
    answers: Collection


class TaskScorer(BaseScorer):
    """A scorer over the collected answers of a task; ``evaluate`` writes what it gives.

    Class attributes:
        name: what ``--scoring`` calls it.

    Attributes:
        task: name of the task that is scored.
        answers: its collection.
    """

    name: ClassVar[str]
    task: str
    answers: Any

    def take(self, answered: Answered | None) -> None:
        """Score these answers; UserError if their task is none of this scorer's."""
        if answered is None or TASK_REGISTRY[answered.task].scoring != self.name:
            tasks = [
                name for name, task in TASK_REGISTRY.items()
                if getattr(task, "scoring", None) == self.name
            ]  # fmt: skip
            raise UserError(f"--scoring {self.name} scores --task {' and '.join(tasks)} only")
        self.task = answered.task
        self.answers = answered.answers

    @classmethod
    def submission_files(cls, task: str) -> tuple[str, ...]:
        """Names that ``submissions`` may use for a task."""
        return ()

    @classmethod
    def collection(cls, data_bin: DataBin, split: str, **options: Any) -> Collection:
        """An empty collection, to be filled with the answers of several processes."""
        raise NotImplementedError

    def missing(self) -> list[int]:
        """Rows of the split without an answer."""
        return self.answers.missing()

    def score_report(self) -> dict[str, Any]:
        """This scorer's part of score.json.

        At least ``score`` (percent), ``ci95`` ([low, high], both None without references, as is the
        score) and ``scored``, the number of samples behind it.
        """
        raise NotImplementedError

    def records(self) -> list[dict[str, Any]]:
        """results.jsonl: one object a sample, in the order of the split.

        Each has at least id, text, image, prediction, reference, and credit in [0, 1] or None.
        """
        raise NotImplementedError

    def submissions(self) -> dict[str, str]:
        """File name -> content, for evaluation servers and official scripts."""
        return {}

    def score(self) -> float:
        """The main figure in percent, NaN without references."""
        score = self.score_report()["score"]
        return float("nan") if score is None else float(score)

    def result_string(self) -> str:
        """The score in words, which fairseq-generate prints last."""
        raise NotImplementedError


def hand_answers_to_scorers() -> None:
    """Let ``fairseq.scoring.build_scorer`` hand on what the dictionary brings; called once."""
    original = scoring.build_scorer

    @functools.wraps(original)
    def build_scorer(choice: Any, tgt_dict: Any) -> Any:
        scorer = original(choice, tgt_dict)
        if isinstance(scorer, TaskScorer):
            scorer.take(getattr(tgt_dict, "answered", None))
        return scorer

    scoring.build_scorer = build_scorer
