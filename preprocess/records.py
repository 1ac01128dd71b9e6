"""What a reader gives: one record a sample, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from preprocess.shown import one_line


class Ragged(tuple[float, ...]):
    """A further column's row of numbers whose count differs from row to row."""


@dataclass(frozen=True)
class Record:
    """One sample as plain values.

    Args:
        where: what messages call it ("question 458752000").
        sample_id: its id in the dataset, unique within a split.
        text: caption, question, hypothesis, ...
        images: keys of its images (one, or two for NLVR2), the same count in all of a dataset.
        answers: what the annotators said (VQA), or None where there is no annotation.
        majority: the answer that decides its class and counts for the answer vocabulary.
        label: its class by name (classification), or None.
        extra: further columns by name: int, float, str, list of str, a fixed-length sequence
            of numbers (a box), or :class:`Ragged`.
    """

    where: str
    sample_id: int | str
    text: str
    images: tuple[str, ...]
    answers: tuple[str, ...] | None = None
    majority: str | None = None
    label: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


FULL_AGREEMENT = 10
"""VQA's scores are defined for ten annotators: a lone answer stands for ten who agree."""


def agreed(answer: str) -> tuple[str, ...]:
    """The annotators' answers where there is only one."""
    return (answer,) * FULL_AGREEMENT


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be used: where it stands, and why; each on one line."""

    where: str
    reason: str

    def __post_init__(self) -> None:
        for name in ("where", "reason"):  # both may quote ids, texts and paths of raw files
            object.__setattr__(self, name, one_line(getattr(self, name)))
