"""How many drawn negatives match less than their true pair."""

from __future__ import annotations

import torch

from mt_fairseq.criterions.albef import ranked
from mt_fairseq.modules.outputs import Matching


def test_a_shift_of_all_scores_changes_nothing() -> None:
    """Two samples; both pictures are ranked right, one text wrong and the other does not exist."""
    margins = torch.tensor([2.0, -1.0, 1.0, -3.0, 4.0, 9.0])
    weights = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]) / 3
    labels = torch.tensor([1, 1, 0, 0, 0, 0])
    for shift in (0.0, -50.0):
        logits = torch.stack([torch.zeros(6), margins + shift], dim=1)
        found = ranked(Matching(logits, labels, weights))
        assert (float(found.total), float(found.count)) == (2.0, 3.0)


def test_equal_scores_are_no_knowledge() -> None:
    weights, labels = torch.full((6,), 1 / 3), torch.tensor([1, 1, 0, 0, 0, 0])
    found = ranked(Matching(torch.zeros(6, 2), labels, weights))
    assert (float(found.total), float(found.count)) == (2.0, 4.0)


def test_half_precision_makes_no_ties() -> None:
    """The difference is 256.5, which has no place among bfloat16's numbers."""
    weights, labels = torch.tensor([1.0, 1.0, 0.0]) / 3, torch.tensor([1, 0, 0])
    logits = torch.tensor([[0.0, 256.0], [-0.5, 256.0], [0.0, 0.0]], dtype=torch.bfloat16)
    found = ranked(Matching(logits, labels, weights))
    assert (float(found.total), float(found.count)) == (0.0, 1.0)
