"""Ten people answer each question; now and then one is wrong or puts it differently."""

from __future__ import annotations

import numpy as np

from examples.demo.world.scene import COLORS, SHAPES, pick

ANNOTATORS = 10
MOST_DISSENTERS = 3  # so the true answer is always the majority and earns full credit
_DISSENT = 0.04  # chance that one annotator strays
_OTHER_WORDS = {
    "purple": ("violet", "pink"),
    "blue": ("light blue",),
    "yellow": ("gold", "orange"),
    "white": ("grey",),
    "circle": ("round", "ball"),
    "square": ("box", "rectangle"),
    "0": ("zero", "o"),
    "1": ("one", "7"),
    "2": ("two",),
    "3": ("three",),
    "7": ("1", "seven"),
}


def answers(rng: np.random.Generator, truth: str) -> list[dict]:
    """Ten official answer records: answer, answer_confidence, answer_id (1 to 10)."""
    strays = rng.random(ANNOTATORS) < _DISSENT
    strays &= np.cumsum(strays) <= MOST_DISSENTERS
    return [
        {
            "answer": _stray(rng, truth) if stray else truth,
            "answer_confidence": pick(rng, ("yes", "maybe", "no")) if stray else "yes",
            "answer_id": i + 1,
        }
        for i, stray in enumerate(strays)
    ]


def _stray(rng: np.random.Generator, truth: str) -> str:
    if truth in ("yes", "no"):
        return "no" if truth == "yes" else "yes"
    if truth in _OTHER_WORDS and rng.random() < 0.5:
        return pick(rng, _OTHER_WORDS[truth])
    for group in (tuple(COLORS), SHAPES):
        if truth in group:
            return pick(rng, [c for c in group if c != truth])
    return str(int(truth) + 1) if truth.isdigit() else truth
