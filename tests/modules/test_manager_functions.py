"""The managers' fast forms: results and gradients of the plain ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mt_fairseq.modules.aggregation import weighting
from mt_fairseq.modules.aggregation.manager_base import FusedQuery
from mt_fairseq.modules.aggregation.weighting import NoisySum, weighted_sum

BATCH, EXPERTS, POSITIONS, WIDTH = 2, 3, 4, 5
NOISY = (BATCH, EXPERTS, POSITIONS, WIDTH)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1)


SCORES = {
    "static vector": (1, EXPERTS, 1, WIDTH),
    "static scalar": (1, EXPERTS, 1, 1),
    "adaptive": (BATCH, EXPERTS, POSITIONS, 1),
    "adaptive by channel": NOISY,
}


def plain_sum(rows: list[Tensor], weights: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Everything stacked and expanded: weights broadcast to (B, N, T, D)."""
    normed = torch.stack(rows, dim=1) * scale[:, None] + shift[:, None]
    return (weights * normed).sum(dim=1)


@pytest.mark.parametrize("chunk", [1, 6, 128], ids=["by position", "by three", "all at once"])
@pytest.mark.parametrize("batch", [BATCH, 1], ids=["batch", "one for all"])
@pytest.mark.parametrize("shape", SCORES.values(), ids=SCORES)
def test_noisy_sum(
    shape: tuple[int, ...], batch: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighting, "CHUNK", chunk)
    noise = drawn(*NOISY).detach()
    temperature = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    scores, scale, shift = drawn(*shape), drawn(EXPERTS, WIDTH), drawn(EXPERTS, WIDTH)
    rows = [drawn(batch, POSITIONS, WIDTH) for _ in range(EXPERTS)]
    plain = torch.softmax((scores + noise) / temperature, dim=1)
    given = (scores, temperature, scale, shift, *rows)

    def noisy(scores: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        return NoisySum.apply(scores, noise.clone(), *rest)

    managed, weights = noisy(*given)
    assert torch.allclose(weights, plain, atol=1e-12)
    assert not weights.requires_grad
    assert torch.allclose(managed, plain_sum(rows, plain, scale, shift), atol=1e-12)
    assert torch.autograd.gradcheck(lambda *given: noisy(*given)[0], given)


@pytest.mark.parametrize(
    "shape",
    [(EXPERTS, WIDTH), (EXPERTS, 1), (BATCH, EXPERTS, POSITIONS), NOISY],
    ids=["vector", "scalar", "by token", "by token and channel"],
)
def test_weighted_sum(shape: tuple[int, ...]) -> None:
    weights, scale, shift = drawn(*shape), drawn(EXPERTS, WIDTH), drawn(EXPERTS, WIDTH)
    rows = [drawn(BATCH, POSITIONS, WIDTH) for _ in range(EXPERTS)]
    expanded = {2: weights[..., None, :], 3: weights[..., None], 4: weights}[weights.dim()]
    expected = plain_sum(rows, expanded, scale, shift)
    found = weighted_sum(rows, weights, scale, shift)
    assert torch.allclose(found, expected, atol=1e-12)
    inputs, upstream = [weights, scale, shift, *rows], torch.randn_like(expected)
    ours = torch.autograd.grad(found, inputs, upstream)
    for own, plain in zip(ours, torch.autograd.grad(expected, inputs, upstream), strict=True):
        assert torch.allclose(own, plain, atol=1e-12)


@pytest.mark.parametrize("shape", [(EXPERTS, WIDTH), (BATCH, EXPERTS, POSITIONS), NOISY], ids=str)
def test_weighted_sum_of_rows_for_all_and_rows_by_sample(shape: tuple[int, ...]) -> None:
    """As where one picture meets many texts: its experts are of batch 1, what follows is not."""
    weights, scale, shift = drawn(*shape), drawn(EXPERTS, WIDTH), drawn(EXPERTS, WIDTH)
    rows = [drawn(1, POSITIONS, WIDTH), *(drawn(BATCH, POSITIONS, WIDTH) for _ in range(2))]
    whole = [row.expand(BATCH, -1, -1) for row in rows]
    expected = weighted_sum(whole, weights, scale, shift)
    found = weighted_sum(rows, weights, scale, shift)
    assert torch.allclose(found, expected, atol=1e-12)


def test_weighted_sum_keeps_its_bits_under_autocast() -> None:
    rows = [torch.randn(BATCH, POSITIONS, WIDTH) for _ in range(EXPERTS)]
    weights = torch.softmax(torch.randn(BATCH, EXPERTS, POSITIONS), dim=1)
    ones, zeros = torch.ones(EXPERTS, WIDTH), torch.zeros(EXPERTS, WIDTH)
    expected = weighted_sum(rows, weights, ones, zeros)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(weighted_sum(rows, weights, ones, zeros), expected)


def test_noisy_sum_where_a_weight_vanishes() -> None:
    scores = torch.tensor([0.0, 200.0, 0.0]).view(1, EXPERTS, 1, 1).requires_grad_()
    temperature = torch.ones(1, requires_grad=True)
    ones = torch.ones(EXPERTS, WIDTH)
    rows = [torch.randn(BATCH, POSITIONS, WIDTH) for _ in range(EXPERTS)]
    managed, weights = NoisySum.apply(scores, torch.zeros(NOISY), temperature, ones, ones, *rows)
    assert weights.min() == 0
    managed.square().sum().backward()
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(temperature.grad).all()


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
    with torch.device("meta"):  # where every product is counted
        query = FusedQuery(width, False, 1e-5)
        sides = torch.empty(1, short, width), torch.empty(1, long, width)
    products = 2 * 2 * short * long * width  # scores, and the attended sum
    for own, other in (sides, sides[::-1]):
        with FlopCounterMode(display=False) as counter:
            query(own, other, None)
        projections = counter.get_total_flops() - products
        assert projections <= 2 * 2 * short * width**2 + 2 * 2 * short * width
