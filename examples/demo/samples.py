"""What the baselines and the table need to know of a split, whatever the task."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Samples(Protocol):
    """Texts about images, each with an answer to learn from."""

    @property
    def texts(self) -> list[str]: ...

    @property
    def ids(self) -> Sequence[Hashable]:
        """What the data-bin calls each sample."""

    @property
    def groups(self) -> Sequence[Hashable]:
        """Samples of one group stand or fall together: those about one image, say."""

    @property
    def answers(self) -> list[str]:
        """The one answer to each that a model would best have given."""

    @property
    def kinds(self) -> list[str]:
        """What the table's last columns tell apart."""

    def credits(self, predictions: Sequence[str]) -> NDArray[np.float64]:
        """Credit from 0 to 1 of a prediction for each sample."""


@dataclass(frozen=True)
class LabelSamples:
    """Texts with one label each; a prediction is right or wrong."""

    texts: list[str]
    ids: list[str]
    groups: list[str]
    answers: list[str]

    @property
    def kinds(self) -> list[str]:
        return self.answers

    def credits(self, predictions: Sequence[str]) -> NDArray[np.float64]:
        return np.asarray([a == b for a, b in zip(predictions, self.answers, strict=True)], float)
