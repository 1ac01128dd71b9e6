"""The managers' fast forms: results and gradients of the plain ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mt_fairseq.modules.aggregation.functions import NoisySoftmax, WeightedSum
from mt_fairseq.modules.aggregation.manager_base import FusedQuery

BATCH, EXPERTS, POSITIONS, WIDTH = 2, 3, 4, 5
NOISY = (BATCH, EXPERTS, POSITIONS, WIDTH)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1)


@pytest.mark.parametrize(
    "scores",
    [(1, EXPERTS, 1, WIDTH), (1, EXPERTS, 1, 1), (BATCH, EXPERTS, POSITIONS, 1), NOISY],
    ids=["static vector", "static scalar", "adaptive", "adaptive by channel"],
)
def test_noisy_softmax(scores: tuple[int, ...]) -> None:
    noise = drawn(*NOISY).detach()
    temperature = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    given = (drawn(*scores), noise, temperature)
    plain = torch.softmax((given[0] + noise) / temperature, dim=1)
    assert torch.allclose(NoisySoftmax.apply(*given), plain, atol=1e-12)
    assert torch.autograd.gradcheck(NoisySoftmax.apply, given)


def test_noisy_softmax_where_a_weight_vanishes() -> None:
    scores = torch.tensor([0.0, 200.0, 0.0]).view(1, EXPERTS, 1, 1).requires_grad_()
    temperature = torch.ones(1, requires_grad=True)
    weights = NoisySoftmax.apply(scores, torch.zeros(NOISY), temperature)
    assert weights.min() == 0
    weights.square().sum().backward()
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(temperature.grad).all()


@pytest.mark.parametrize("batch", [BATCH, 1], ids=["batch", "one for all"])
def test_weighted_sum(batch: int) -> None:
    experts = [drawn(batch, POSITIONS, WIDTH) for _ in range(EXPERTS)]
    given = (drawn(*NOISY), drawn(EXPERTS, WIDTH), drawn(EXPERTS, WIDTH), *experts)
    weights, scale, shift = given[:3]
    normed = torch.stack(experts, dim=1) * scale[:, None] + shift[:, None]
    assert torch.allclose(WeightedSum.apply(*given), (weights * normed).sum(1), atol=1e-12)
    assert torch.autograd.gradcheck(WeightedSum.apply, given)


def plain_query(query: FusedQuery, own: Tensor, other: Tensor, mask: Tensor | None) -> Tensor:
    """Both projections on their own sequence, as the paper writes it."""
    other = query.norm(other)
    scores = query.query(own) @ query.key(other).mT / own.shape[-1] ** 0.5
    if mask is not None and not query.unmasked:
        scores = scores.masked_fill(~mask[:, None], -torch.inf)
    return torch.cat([scores.softmax(-1) @ other, own], dim=-1)


@pytest.mark.parametrize("unmasked", [False, True], ids=["masked", "unmasked"])
@pytest.mark.parametrize("positions", [3, 7, 5], ids=["queries short", "keys short", "equal"])
def test_fused_query_by_associativity(positions: int, unmasked: bool) -> None:
    """Whichever side is shorter, result and all gradients are those of the plain product."""
    width, others = 6, 5
    query = FusedQuery(width, unmasked, 1e-5).double()
    with torch.no_grad():
        for parameter in query.parameters():
            parameter.normal_()
    own, other = drawn(BATCH, positions, width), drawn(BATCH, others, width)
    mask = torch.ones(BATCH, others, dtype=torch.bool)
    mask[0, 2:] = False
    inputs = [own, other, *query.parameters()]
    upstream = torch.randn(BATCH, positions, 2 * width, dtype=torch.float64)
    found, expected = query(own, other, mask), plain_query(query, own, other, mask)
    assert torch.allclose(found, expected, atol=1e-12)
    gradients = torch.autograd.grad(found, inputs, upstream)
    for ours, plain in zip(gradients, torch.autograd.grad(expected, inputs, upstream), strict=True):
        assert torch.allclose(ours, plain, atol=1e-10)


def test_fused_query_without_a_mask() -> None:
    query = FusedQuery(6, False, 1e-5).double()
    own, other = drawn(BATCH, 7, 6), drawn(BATCH, 5, 6)
    expected = plain_query(query, own, other, None)
    assert torch.allclose(query(own, other, None), expected, atol=1e-12)


def test_fused_query_projects_the_shorter_side() -> None:
    """Multiply-adds of both projections: 2 x 50 x D^2 for 577 positions beside 50."""
    width, short, long = 32, 50, 577
    query = FusedQuery(width, False, 1e-5)
    products = 2 * 2 * short * long * width  # scores, and the attended sum
    for own, other in ((short, long), (long, short)):
        with FlopCounterMode(display=False) as counter:
            query(torch.randn(1, own, width), torch.randn(1, other, width), None)
        projections = counter.get_total_flops() - products
        assert projections <= 2 * 2 * short * width**2 + 2 * 2 * short * width
