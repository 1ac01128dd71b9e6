"""Scorers of label answers that ``fairseq-generate --scoring NAME`` finds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import register_scorer
from fairseq.tasks import TASK_REGISTRY

from mt_fairseq.data.answer_rules import OFFICIAL
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.evaluation.intervals import wilson_interval
from mt_fairseq.evaluation.results import AccuracyExtras, LabelResults, Prediction
from mt_fairseq.evaluation.runs import ANSWER_RULE
from mt_fairseq.evaluation.task_scorer import TaskScorer
from mt_fairseq.evaluation.vqa import (
    VqaReport,
    answer_credit,
    group_means,
    mean_percent,
    report_of_credits,
)
from mt_fairseq.evaluation.vqa_server import TEST_PART, WHOLE_TEST

NOTHING: dict[str, Any] = {"score": None, "ci95": None, "scored": 0}  # without references
ANSWER_TYPES = ("yes/no", "number", "other")  # the official order; any others follow


def interval(percent: float, count: int) -> list[float]:
    """95 % bounds, in percent as the mean is."""
    return [100 * bound for bound in wilson_interval(percent / 100, count)]


def in_words(percent: float, count: int) -> str:
    """``63.42 (95% CI 62.10-64.70)``."""
    low, high = interval(percent, count)
    return f"{percent:.2f} (95% CI {low:.2f}-{high:.2f})"


class LabelScorer(TaskScorer):
    """A scorer of label answers: each prediction has a credit."""

    answers: LabelResults

    @classmethod
    def collection(cls, data_bin: DataBin, split: str, **options: Any) -> LabelResults:
        return LabelResults(data_bin, split, **options)

    def credit(self, prediction: Prediction) -> float:
        """Credit from 0 to 1 of a prediction that has a reference."""
        raise NotImplementedError

    @cached_property
    def predictions(self) -> list[Prediction]:
        """All predictions with their credits, in the order of the split; asked for at the end."""
        predictions = list(self.answers)
        for prediction in predictions:
            if prediction.reference:
                prediction.credit = self.credit(prediction)
        return predictions

    @property
    def scored(self) -> list[tuple[Prediction, float]]:
        """The predictions that have a reference, with their credits."""
        return [(p, p.credit) for p in self.predictions if p.credit is not None]

    def records(self) -> list[dict[str, Any]]:
        return [asdict(prediction) for prediction in self.predictions]


@dataclass
class VqaAccuracyConfig(FairseqDataclass):
    """VQA accuracy has no options."""


@register_scorer("vqa_accuracy", dataclass=VqaAccuracyConfig)
class VqaAccuracyScorer(LabelScorer):
    """VQA accuracy of the best answers over the annotators' answers of the data-bin."""

    name = "vqa_accuracy"

    @classmethod
    def submission_files(cls, task: str) -> tuple[str, ...]:
        return ("evalai.json",)

    def credit(self, prediction: Prediction) -> float:
        official = prediction.answer_rule == OFFICIAL
        return answer_credit(prediction.prediction, prediction.reference, official)

    def report(self) -> VqaReport | None:
        """Accuracy over the questions that have references, None if there are none."""
        if not self.scored:
            return None
        return report_of_credits(
            [credit for _, credit in self.scored],
            [p.answer_type for p, _ in self.scored],
            [p.question_type for p, _ in self.scored],
        )

    def score_report(self) -> dict[str, Any]:
        """Accuracy with its interval, the rule of scoring, by answer type and by question type."""
        report = self.report()
        if report is None:
            return dict(NOTHING)
        return {
            "score": report.accuracy,
            "ci95": interval(report.accuracy, report.questions),
            "scored": report.questions,
            ANSWER_RULE: self.answer_rule,
            "by_answer_type": report.by_answer_type,
            "by_question_type": report.by_question_type,
        }

    @property
    def answer_rule(self) -> str | None:
        """The rule by which all are scored, "mixed" where VQA v2 was joined with other data."""
        rules = {prediction.answer_rule for prediction, _ in self.scored}
        return rules.pop() if len(rules) == 1 else "mixed"

    def submissions(self) -> dict[str, str]:
        """All answers as one JSON list for the EvalAI server; nothing where it would refuse it."""
        if self.part_of_test:
            return {}
        records = [server_record(prediction) for prediction in self.predictions]
        return {"evalai.json": json.dumps(records, ensure_ascii=False)}

    @property
    def part_of_test(self) -> bool:
        """Whether these are the questions of test-dev alone."""
        return self.answers.split_name == TEST_PART and not self.scored

    def result_string(self) -> str:
        described = describe(self.report())
        return f"{described}; {WHOLE_TEST}" if self.part_of_test else described


def server_record(prediction: Prediction) -> dict[str, Any]:
    """What the EvalAI server takes: the question's number and the answer."""
    identifier = prediction.id
    if isinstance(identifier, str) and identifier.isdecimal():
        identifier = int(identifier)
    return {"question_id": identifier, "answer": prediction.prediction}


def describe(report: VqaReport | None) -> str:
    """``VQA accuracy 63.42 (95% CI 62.10-64.70) over 1234 questions | yes/no ... | ...``."""
    if report is None:
        return "VQA accuracy: no references"
    known = [kind for kind in ANSWER_TYPES if kind in report.by_answer_type]
    others = [kind for kind in report.by_answer_type if kind not in ANSWER_TYPES]
    types = "".join(f" | {kind} {report.by_answer_type[kind]:.2f}" for kind in known + others)
    return (
        f"VQA accuracy {in_words(report.accuracy, report.questions)} "
        f"over {report.questions} questions{types}"
    )


@dataclass
class AccuracyConfig(FairseqDataclass):
    """Accuracy has no options."""


@register_scorer("accuracy", dataclass=AccuracyConfig)
class AccuracyScorer(LabelScorer):
    """Share of right classes, and what the task's class says belongs to it."""

    name = "accuracy"

    @classmethod
    def submission_files(cls, task: str) -> tuple[str, ...]:
        extras = TASK_REGISTRY[task].extras
        return extras.names if extras else ()

    @property
    def extras(self) -> AccuracyExtras | None:
        """What the task's accuracy comes with."""
        found: AccuracyExtras | None = TASK_REGISTRY[self.task].extras
        return found

    def credit(self, prediction: Prediction) -> float:
        return float(prediction.prediction == prediction.reference[0])

    def score_report(self) -> dict[str, Any]:
        """Accuracy with its interval, and of each class; further figures of the task."""
        if not self.scored:
            return dict(NOTHING)
        credits = [credit for _, credit in self.scored]
        score = mean_percent(credits)
        report = {
            "score": score,
            "ci95": interval(score, len(credits)),
            "scored": len(credits),
            "by_class": group_means(credits, [p.reference[0] for p, _ in self.scored]),
        }
        return report | self.figures()

    def figures(self) -> dict[str, float]:
        """The task's further figures, in percent."""
        return self.extras.figures([p for p, _ in self.scored]) if self.extras else {}

    def submissions(self) -> dict[str, str]:
        """What the task's official script or server reads, if it has one."""
        return self.extras.files(self.predictions) if self.extras else {}

    def result_string(self) -> str:
        """``accuracy 78.10 (95% CI 77.00-79.15) over 6967 samples | consistency 44.20``."""
        report = self.score_report()
        if report["score"] is None:
            return "accuracy: no references"
        line = f"accuracy {in_words(report['score'], report['scored'])}"
        line += f" over {report['scored']} samples"
        return line + "".join(f" | {name} {value:.2f}" for name, value in self.figures().items())
