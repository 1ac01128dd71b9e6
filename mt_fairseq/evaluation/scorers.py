"""Scorers of label answers that ``fairseq-generate --scoring NAME`` finds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import register_scorer

from mt_fairseq.evaluation.intervals import wilson_interval
from mt_fairseq.evaluation.results import LabelResults, Prediction
from mt_fairseq.evaluation.task_scorer import TaskScorer
from mt_fairseq.evaluation.vqa import VqaReport, answer_credit, report_of_credits

ANSWER_TYPES = ("yes/no", "number", "other")  # the official order; any others follow


@dataclass
class VqaAccuracyConfig(FairseqDataclass):
    """VQA accuracy has no options."""


@register_scorer("vqa_accuracy", dataclass=VqaAccuracyConfig)
class VqaAccuracyScorer(TaskScorer):
    """VQA accuracy of the best answers over the annotators' answers of the data-bin."""

    name = "vqa_accuracy"
    submission_files = ("evalai.json",)
    answers: LabelResults

    @cached_property
    def predictions(self) -> list[Prediction]:
        """All predictions with their credits, in the order of the split; asked for at the end."""
        predictions = list(self.answers)
        for prediction in predictions:
            if prediction.reference:
                prediction.credit = answer_credit(prediction.prediction, prediction.reference)
        return predictions

    def report(self) -> VqaReport | None:
        """Accuracy over the questions that have references, None if there are none."""
        scored = [p for p in self.predictions if p.credit is not None]
        if not scored:
            return None
        return report_of_credits(
            [p.credit for p in scored if p.credit is not None],
            [p.answer_type for p in scored],
            [p.question_type for p in scored],
        )

    def score_report(self) -> dict[str, Any]:
        """Accuracy with its interval, by answer type and by question type."""
        report = self.report()
        if report is None:
            return {"score": None, "ci95": None, "scored": 0}
        low, high = wilson_interval(report.accuracy / 100, report.questions)
        return {
            "score": report.accuracy,
            "ci95": [100 * low, 100 * high],
            "scored": report.questions,
            "by_answer_type": report.by_answer_type,
            "by_question_type": report.by_question_type,
        }

    def records(self) -> list[dict[str, Any]]:
        return [asdict(prediction) for prediction in self.predictions]

    def submissions(self) -> dict[str, str]:
        """All answers as one JSON list for the EvalAI server."""
        records = [server_record(prediction) for prediction in self.predictions]
        return {"evalai.json": json.dumps(records, ensure_ascii=False)}

    def result_string(self) -> str:
        return describe(self.report())


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
    low, high = wilson_interval(report.accuracy / 100, report.questions)
    known = [kind for kind in ANSWER_TYPES if kind in report.by_answer_type]
    others = [kind for kind in report.by_answer_type if kind not in ANSWER_TYPES]
    types = "".join(f" | {kind} {report.by_answer_type[kind]:.2f}" for kind in known + others)
    return (
        f"VQA accuracy {report.accuracy:.2f} (95% CI {100 * low:.2f}-{100 * high:.2f}) "
        f"over {report.questions} questions{types}"
    )
