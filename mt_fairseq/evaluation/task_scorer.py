"""What every scorer of this package gives, and the way from a task's answers to it.

fairseq's scorers get to see a reference and a top hypothesis as strings, which is not enough for
ten annotators, types of questions or ranked galleries. So the inference step of a task collects
what the model answered, and the scorer reads that collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import BaseScorer

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

TASK_SCORERS = {
    "vqa": "vqa_accuracy",
    "albef_vqa": "vqa_accuracy",
    "snli_ve": "accuracy",
    "nlvr2": "accuracy",
    "retrieval": "recall",
    "grounding": "box_accuracy",
}
"""The scorer that ``python -m mt_fairseq.evaluate`` takes for each task."""


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
class Collected:
    """What the running command collects, and for which task."""

    task: str
    answers: Collection


_collected: Collected | None = None


def start_collecting(task: str, answers: Collection) -> None:
    """From now on scorers read ``answers``.

    fairseq builds a scorer without telling it of task or data, so the way from the one to the
    other leads through this module.
    """
    global _collected
    _collected = Collected(task, answers)


class TaskScorer(BaseScorer):
    """A scorer over the collected answers of a task; ``evaluate`` writes what it gives.

    Class attributes:
        name: what ``--scoring`` calls it.
        submission_files: names that ``submissions`` may use.

    Attributes:
        task: name of the task that is scored.
        answers: its collection.

    Raises UserError if the running task is none of this scorer's.
    """

    name: ClassVar[str]
    submission_files: ClassVar[tuple[str, ...]] = ()

    def __init__(self, cfg: FairseqDataclass) -> None:
        super().__init__(cfg)
        tasks = [task for task, scorer in TASK_SCORERS.items() if scorer == self.name]
        if _collected is None or _collected.task not in tasks:
            raise UserError(f"--scoring {self.name} scores --task {' and '.join(tasks)} only")
        self.task = _collected.task
        self.answers: Any = _collected.answers

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
