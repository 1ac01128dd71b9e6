"""Recall of retrieval: R@1, R@5 and R@10 in both directions, their sum and their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.intervals import wilson_interval

CUTS = (1, 5, 10)
Interval = tuple[float, float]


def recall_at(ranks: ArrayLike, k: int) -> float:
    """Percent of the queries whose right item is among the first ``k``.

    Args:
        ranks: (n,) rank of each query's right item, the best one of several; 1 is first.
        k: at least 1.

    Raises UserError for no ranks, or for ranks or a ``k`` below 1.
    """
    found = np.asarray(ranks)
    if not found.size:
        raise UserError("there are no ranks to take the recall of")
    if found.min() < 1 or k < 1:
        raise UserError("ranks and k of a recall count from 1")
    return 100 * float((found <= k).mean())


@dataclass(frozen=True)
class DirectionRecall:
    """Recall of one direction.

    Attributes:
        queries: their number.
        recall: in percent, by k.
        ci95: bounds of each, in percent.
    """

    queries: int
    recall: dict[int, float]
    ci95: dict[int, Interval]

    @property
    def total(self) -> float:
        """Sum over k, at most 300."""
        return sum(self.recall.values())

    def as_json(self) -> dict[str, Any]:
        """As score.json holds it."""
        recall = {f"R@{k}": value for k, value in self.recall.items()}
        return {
            "queries": self.queries,
            **recall,
            "ci95": {f"R@{k}": list(bounds) for k, bounds in self.ci95.items()},
        }


@dataclass(frozen=True)
class RecallReport:
    """Recall of one direction or both.

    Attributes:
        directions: "image" (images for a text) and "text" (texts for an image), where asked for.
        mean: of all recalls, in percent.
        ci95: its bounds.
    """

    directions: dict[str, DirectionRecall]
    mean: float
    ci95: Interval

    @property
    def queries(self) -> int:
        """Of all directions."""
        return sum(part.queries for part in self.directions.values())

    @property
    def count(self) -> int:
        """Number of recalls behind mean and sum."""
        return len(CUTS) * len(self.directions)

    @property
    def rsum(self) -> float:
        """Sum of all recalls: 600 at most with both directions."""
        return self.mean * self.count


def recall_report(found: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> RecallReport:
    """The report over ``found``: direction -> ranks (n,) from 1, and the image of each query (n,).

    Intervals take into account that texts of the same image are not independent of each other.
    """
    parts = {name: (np.asarray(r), np.asarray(images)) for name, (r, images) in found.items()}
    directions = {}
    for name, (ranks, images) in parts.items():
        recall = {k: recall_at(ranks, k) for k in CUTS}
        ci95 = {k: grouped_interval([((ranks <= k).astype(float), images)]) for k in CUTS}
        directions[name] = DirectionRecall(len(ranks), recall, ci95)
    mean = sum(part.total for part in directions.values()) / (len(CUTS) * len(parts))
    hits = [
        (np.mean([ranks <= k for k in CUTS], axis=0), images) for ranks, images in parts.values()
    ]
    return RecallReport(directions, mean, grouped_interval(hits))


def grouped_interval(parts: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> Interval:
    """95 % bounds, in percent, of the mean of the parts' means.

    Wilson's interval for as many independent right/wrong values as would scatter like the groups
    do (their variance by linearisation, as in cluster sampling: Cochran 1977, section 9.3); at
    most for as many as there are.

    Args:
        parts: values in [0, 1] (n,), and the group of each (n,); groups are the same over parts.
    """
    mean = float(np.mean([values.mean() for values, _ in parts]))
    number = {group: i for i, group in enumerate(np.unique(np.concatenate([g for _, g in parts])))}
    influence = np.zeros(len(number))
    for values, groups in parts:
        index = [number[group] for group in groups]
        np.add.at(influence, index, (values - values.mean()) / (len(values) * len(parts)))
    variance = float(np.square(influence).sum())
    count = sum(len(values) for values, _ in parts)
    if variance > 0:
        count = int(np.clip(round(mean * (1 - mean) / variance), 1, count))
    low, high = wilson_interval(mean, count)
    return 100 * low, 100 * high
