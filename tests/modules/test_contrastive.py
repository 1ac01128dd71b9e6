"""Hard negatives: the distribution they are drawn from, and rows that have none."""

from __future__ import annotations

import numpy as np
import torch

from mt_fairseq.data.negatives import negative_draws
from mt_fairseq.modules.contrastive import draw_negatives, negative_weights, same

CHI_SQUARED_5_DEGREES = 20.5  # 0.1 % of draws from the right distribution exceed it


def test_weights_are_the_softmax_without_positives() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 7)
    positives = same(torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 2, 0, 3, 4, 1]))
    weights = negative_weights(logits, positives)
    reference = logits.double().softmax(dim=-1).masked_fill(positives, 0)
    assert torch.allclose(weights, reference / reference.sum(dim=-1, keepdim=True))


def test_drawn_negatives_follow_their_weights() -> None:
    """Chi-squared test on the very numbers that samples draw by."""
    torch.manual_seed(1)
    logits = torch.randn(1, 7)
    positives = torch.tensor([[False, True, False, False, False, False, False]])
    weights = negative_weights(logits, positives)
    count = 4000
    draws = torch.stack([negative_draws(1, 1, index) for index in range(count)])
    for side in (0, 1):
        index, found = draw_negatives(weights.expand(count, -1), draws[:, side])
        assert found.all()
        seen = np.bincount(index, minlength=7)
        expected = (weights[0] * count).numpy()
        assert seen[1] == 0
        others = expected > 0
        statistic = ((seen[others] - expected[others]) ** 2 / expected[others]).sum()
        assert statistic < CHI_SQUARED_5_DEGREES
    assert abs(np.corrcoef(draws.numpy().T)[0, 1]) < 0.05


def test_draws_are_a_samples_own() -> None:
    assert torch.equal(negative_draws(1, 2, 3), negative_draws(1, 2, 3))
    others = [negative_draws(2, 2, 3), negative_draws(1, 3, 3), negative_draws(1, 2, 4)]
    assert all(not torch.equal(negative_draws(1, 2, 3), other) for other in others)


def test_edges_of_the_unit_interval() -> None:
    weights = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0]])
    draws = torch.tensor([0.0, 0.2499, 0.25, 1 - 2**-53], dtype=torch.float64)
    index, _ = draw_negatives(weights.expand(4, -1), draws)
    assert index.tolist() == [1, 1, 3, 3]


def test_a_positive_that_outweighs_all_leaves_the_negatives_their_weights() -> None:
    """A softmax over all candidates would give the negatives no mass at all."""
    logits = torch.tensor([[900.0, 1.0, 1.0, 0.0]])
    weights = negative_weights(logits, torch.tensor([[True, False, False, False]]))
    assert weights[0, 0] == 0
    assert torch.allclose(weights[0, 1:], torch.tensor([1.0, 1.0, 0.0]).softmax(0).double())


def test_a_row_of_positives_draws_nothing() -> None:
    logits, positives = torch.zeros(2, 3), torch.tensor([[True] * 3, [True, False, True]])
    index, found = draw_negatives(negative_weights(logits, positives), torch.tensor([0.5, 0.5]))
    assert found.tolist() == [False, True]
    assert index[1] == 1
    none, found = draw_negatives(torch.zeros(2, 0), torch.tensor([0.5, 0.5]))
    assert none.tolist() == [0, 0]
    assert not found.any()
