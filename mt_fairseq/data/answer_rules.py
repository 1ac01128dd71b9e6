"""By which rule a question's answers are scored: VQA v2's own, or both sides normalised.

VQA v2's evaluator leaves texts as they are where all ten annotators gave the same one. That is
right for its records, and for them only: elsewhere a lone answer stands for ten that agree, and the
classes that a model answers with are normalised.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_fairseq.data.split import Split

OFFICIAL, NORMALISED = "official", "normalised"
ANSWER_RULES = "answer_rules"
"""Name in metadata.json, for each split with answers: ``[[rule, samples], ...]`` in row order."""

OFFICIAL_DATASET, OFFICIAL_COLUMN = "vqav2", "question_type"
"""What tells VQA v2's questions in data-bins that were written without ``ANSWER_RULES``."""

Runs = list[tuple[str, int]]
"""Rules of consecutive samples, and their numbers."""


def rule_runs(metadata: dict[str, Any], split: Split) -> Runs:
    """The rules of a split's samples, in their order.

    Args:
        metadata: of the data-bin.
        split: one of its splits.
    """
    told = metadata["splits"][split.name].get(ANSWER_RULES)
    if told is not None:
        return [(str(rule), int(samples)) for rule, samples in told]
    if "sources" in metadata:
        return _runs_of_merged(metadata["sources"], split)
    return [(_rule_of(metadata["dataset"]), len(split))]


def official_rows(metadata: dict[str, Any], split: Split) -> NDArray[np.bool_]:
    """(n,) which samples are scored by VQA v2's own rule; arguments as for ``rule_runs``."""
    runs = rule_runs(metadata, split)
    return np.repeat([rule == OFFICIAL for rule, _ in runs], [samples for _, samples in runs])


def joined_runs(runs: Runs) -> Runs:
    """The same with neighbours of one rule as one."""
    return [(rule, sum(samples for _, samples in group))
            for rule, group in groupby(runs, lambda run: run[0])]  # fmt: skip


def _rule_of(dataset: str) -> str:
    return OFFICIAL if dataset == OFFICIAL_DATASET else NORMALISED


def _runs_of_merged(sources: dict[str, str], split: Split) -> Runs:
    """Ids of a split of several parts are NAME/ID; columns are those that all its parts have."""
    if OFFICIAL_COLUMN in split.columns:
        return [(OFFICIAL, len(split))]
    names = (str(split.sample_id(row)).split("/")[0] for row in range(len(split)))
    return joined_runs([(_rule_of(sources.get(name, "")), 1) for name in names])
