"""The managers' fast forms: results and gradients of the plain ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mt_fairseq.kernels.lean.noisy_sum import noisy_weighted_sum
from mt_fairseq.modules.aggregation.weighting import weighted_sum

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


@pytest.mark.parametrize("chunk", [1, 6, None], ids=["by position", "by three", "all at once"])
@pytest.mark.parametrize("batch", [BATCH, 1], ids=["batch", "one for all"])
@pytest.mark.parametrize("shape", SCORES.values(), ids=SCORES)
def test_noisy_sum(shape: tuple[int, ...], batch: int, chunk: int | None) -> None:
    noise = drawn(*NOISY).detach()
    temperature = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    scores, scale, shift = drawn(*shape), drawn(EXPERTS, WIDTH), drawn(EXPERTS, WIDTH)
    rows = [drawn(batch, POSITIONS, WIDTH) for _ in range(EXPERTS)]
    plain = torch.softmax((scores + noise) / temperature, dim=1)
    given = (scores, temperature, scale, shift, *rows)

    def noisy(
        scores: Tensor, temperature: Tensor, scale: Tensor, shift: Tensor, *rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        given = noise.clone(), temperature, scale, shift, rows
        return noisy_weighted_sum(scores, *given, at_once=chunk)

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
    managed, weights = noisy_weighted_sum(scores, torch.zeros(NOISY), temperature, ones, ones, rows)
    assert weights.min() == 0
    managed.square().sum().backward()
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(temperature.grad).all()
