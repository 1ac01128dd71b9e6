"""Scores that the papers report, in percent; splits under the names of a data-bin.

Sources: ManagerTower, Table 3 (with METER-CLIP BASE and BridgeTower BASE), Table 7; BridgeTower's
talk for LARGE. VQAv2's models are trained on train + val and scored by the server, so nothing is
published for ``valid``; ``testdev`` is what comes nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE, LARGE = "base", "large"
WIDTHS = {BASE: 768, LARGE: 1024}
"""Channels of the cross-modal encoder."""

NEAREST = {("vqa", "valid"): "testdev"}
"""The split whose score is taken where the papers have none."""

SCORES: dict[tuple[str, str, str], dict[str, float]] = {
    ("managertower", BASE, "vqa"): {"testdev": 79.39, "test": 79.15},
    ("managertower", BASE, "snli_ve"): {"valid": 81.26, "test": 81.44},
    ("managertower", BASE, "nlvr2"): {"valid": 82.81, "test": 83.34},
    ("bridgetower", BASE, "vqa"): {"testdev": 78.66, "test": 78.73},
    ("bridgetower", BASE, "snli_ve"): {"valid": 81.11, "test": 81.19},
    ("bridgetower", BASE, "nlvr2"): {"valid": 81.85, "test": 83.09},
    ("bridgetower", LARGE, "vqa"): {"testdev": 81.25, "test": 81.15},
    ("meter", BASE, "vqa"): {"testdev": 77.68, "test": 77.64},
    ("meter", BASE, "snli_ve"): {"valid": 80.86, "test": 81.19},
    ("meter", BASE, "nlvr2"): {"valid": 82.33, "test": 83.05},
}
"""(family, size, task) -> split -> accuracy."""

FLICKR30K: dict[tuple[str, str], tuple[float, float]] = {
    ("managertower", BASE): (86.56, 95.64),
    ("bridgetower", BASE): (85.83, 94.73),
    ("meter", BASE): (82.22, 94.30),
}
"""(family, size) -> image and text recall at 1 on the test split."""


@dataclass(frozen=True)
class Published:
    """A paper's score and the split that it stands for."""

    score: float
    split: str
    model: str


def published(architecture: str, width: int, task: str, split: str) -> Published | None:
    """The paper's score for a model; None where there is none.

    Args:
        architecture: registered name, ``managertower_base`` say. Models of other sizes than BASE
            and LARGE are held against BASE.
        width: channels of the cross-modal encoder.
        task: registered name of the task.
        split: of the data-bin.
    """
    family = architecture.split("_")[0]
    size = LARGE if width >= WIDTHS[LARGE] else BASE
    scores = SCORES.get((family, size, task), {})
    if split not in scores:
        split = NEAREST.get((task, split), "")
    return Published(scores[split], split, f"{family} {size}") if split in scores else None
