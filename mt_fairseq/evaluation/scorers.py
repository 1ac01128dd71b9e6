"""Scorers that ``fairseq-generate --scoring NAME`` finds."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import BaseScorer, register_scorer

from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.intervals import wilson_interval
from mt_fairseq.evaluation.results import Prediction, Results, current_results
from mt_fairseq.evaluation.vqa import VqaReport, answer_credit, report_of_credits

ANSWER_TYPES = ("yes/no", "number", "other")  # the official order; any others follow

TASK_SCORERS = {"vqa": "vqa_accuracy"}
"""The scorer that `python -m mt_fairseq.evaluate` takes for each task."""


@dataclass
class VqaAccuracyConfig(FairseqDataclass):
    """VQA accuracy has no options."""


@register_scorer("vqa_accuracy", dataclass=VqaAccuracyConfig)
class VqaAccuracyScorer(BaseScorer):
    """VQA accuracy of the best answers over the annotators' answers of the data-bin."""

    def __init__(self, cfg: VqaAccuracyConfig) -> None:
        super().__init__(cfg)
        results = current_results()
        if results is None:
            raise UserError("--scoring vqa_accuracy scores --task vqa only")
        self.results: Results = results

    def predictions(self) -> list[Prediction]:
        """All predictions with their credits, in the order of the split."""
        predictions = list(self.results)
        for prediction in predictions:
            if prediction.reference:
                prediction.credit = answer_credit(prediction.prediction, prediction.reference)
        return predictions

    def report(self, predictions: list[Prediction] | None = None) -> VqaReport | None:
        """Accuracy over the questions that have references, None if there are none."""
        if predictions is None:
            predictions = self.predictions()
        scored = [p for p in predictions if p.credit is not None]
        if not scored:
            return None
        return report_of_credits(
            [p.credit for p in scored if p.credit is not None],
            [p.answer_type for p in scored],
            [p.question_type for p in scored],
        )

    def score(self) -> float:
        """Accuracy in percent, NaN without references."""
        report = self.report()
        return float("nan") if report is None else report.accuracy

    def result_string(self) -> str:
        return describe(self.report())


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
