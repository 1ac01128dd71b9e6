"""Metrics, and what fairseq-generate needs to answer, collect and score."""

from mt_fairseq.evaluation.vqa import VqaReport, vqa_accuracy, vqa_report

__all__ = ["VqaReport", "vqa_accuracy", "vqa_report"]
