"""Metrics, and what fairseq-generate needs to answer, collect and score."""

from mt_fairseq.evaluation.nlvr2 import nlvr2_consistency
from mt_fairseq.evaluation.recall import recall_at
from mt_fairseq.evaluation.vqa import VqaReport, vqa_accuracy, vqa_report

__all__ = ["VqaReport", "nlvr2_consistency", "recall_at", "vqa_accuracy", "vqa_report"]
