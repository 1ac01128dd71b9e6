"""Each manager against its formula, written out plainly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.modules.aggregation.base import AggregationInput
from mt_fairseq.modules.aggregation.manager_base import Manager, ManagerOptions
from mt_fairseq.modules.aggregation.managers import MANAGERS, build_manager

WIDTH, EXPERTS, BATCH, TEXT, IMAGE = 8, 3, 2, 5, 4


def inputs(level: int) -> AggregationInput:
    generator = torch.Generator().manual_seed(2)

    def states(length: int) -> Tensor:
        return torch.randn(BATCH, length, WIDTH, generator=generator)

    experts = [F.layer_norm(states(TEXT), (WIDTH,)) for _ in range(EXPERTS)]
    previous = [states(TEXT) for _ in range(level)]
    mask = torch.ones(BATCH, IMAGE, dtype=torch.bool)
    mask[0, 2:] = False
    return AggregationInput(experts, None, previous, states(IMAGE) if level else None, mask)


def build(name: str, level: int, **options: Any) -> Manager:
    torch.manual_seed(4)
    manager = build_manager(name, ManagerOptions(WIDTH, EXPERTS, **options), level).eval()
    with torch.no_grad():
        for parameter in manager.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return manager


def normed_experts(manager: Manager, given: AggregationInput) -> Tensor:
    """(B, N, T, D)"""
    stacked = torch.stack(given.experts, dim=1)
    weight, bias = manager.expert_norm_weight, manager.expert_norm_bias
    return stacked * weight[:, None] + bias[:, None]


def query_of(manager: Any, given: AggregationInput) -> Tensor:
    own = manager.previous_norm(given.previous[-1])
    if manager.fused_query is None:
        return own
    other = manager.fused_query.norm(given.other)
    scores = manager.fused_query.query(own) @ manager.fused_query.key(other).mT / WIDTH**0.5
    scores = scores.masked_fill(~given.other_mask[:, None], float("-inf"))
    return torch.cat([scores.softmax(-1) @ other, own], dim=-1)


@torch.no_grad()
def test_sae() -> None:
    manager, given = build("sae", 2), inputs(2)
    weights = (manager.scores / manager.temperature).softmax(0)
    normed = normed_experts(manager, given)
    expected = (normed * weights[:EXPERTS, None]).sum(1)
    for i, output in enumerate(given.previous):
        expected += weights[EXPERTS + i] * manager.previous_norms[i](output)
    managed, given_weights = manager(given)
    assert torch.allclose(managed, expected, atol=1e-6)
    assert torch.equal(given_weights, weights)


@pytest.mark.parametrize("level", [1, 2, 3])
@torch.no_grad()
def test_sae_split(level: int) -> None:
    manager, given = build("sae-split", level), inputs(level)
    weights = (manager.scores / manager.temperature).softmax(0)
    expected = (normed_experts(manager, given) * weights[:, None]).sum(1)
    rows = torch.ones(1, WIDTH)
    if level > 1:
        rows = (manager.previous_scores / manager.previous_temperature).softmax(0)
    for i, output in enumerate(given.previous):
        expected += rows[i] * manager.previous_norms[i](output)
    assert torch.allclose(manager(given)[0], expected, atol=1e-6)


@pytest.mark.parametrize("query", ["own", "fused"])
@pytest.mark.parametrize("name", ["aaue", "concat-attention", "cross-attention"])
@torch.no_grad()
def test_adaptive(name: str, query: str) -> None:
    manager: Any = build(name, 1, query=query)
    given = inputs(1)
    asked, normed = query_of(manager, given), normed_experts(manager, given)
    if name == "aaue":
        scores = manager.controller(asked).mT[..., None]
    elif name == "cross-attention":
        keys = manager.key_projection(normed[:, :, 0])
        scores = (keys @ manager.query_projection(asked).mT / WIDTH**0.5)[..., None]
    else:
        joined = torch.cat([normed, asked[:, None].expand(-1, EXPERTS, -1, -1)], dim=-1)
        matrix = torch.cat([manager.from_expert.weight, manager.from_query.weight], dim=1)
        scores = F.linear(joined, matrix, manager.from_query.bias)
    weights = (scores / manager.temperature).softmax(1)
    expected = (weights * normed).sum(1)
    expected += manager.previous_weight * manager.previous_norm(given.previous[-1])
    managed, given_weights = manager(given)
    assert torch.allclose(managed, expected, atol=1e-5)
    assert torch.allclose(given_weights, weights.squeeze(-1), atol=1e-6)


def test_shared_normalisation_equals_a_layer_norm_an_expert() -> None:
    manager, given = build("saue", 0), inputs(0)
    raw = [expert * 3 + 1 for expert in given.experts]
    norms = [nn.LayerNorm(WIDTH) for _ in raw]
    for i, norm in enumerate(norms):
        norm.weight.data = manager.expert_norm_weight.data[i]
        norm.bias.data = manager.expert_norm_bias.data[i]
    weights = manager.scores.div(manager.temperature).softmax(0)
    expected = sum(w * norm(x) for w, norm, x in zip(weights, norms, raw, strict=True))
    assert torch.allclose(manager(given)[0], expected, atol=1e-5)


@pytest.mark.parametrize("channels", ["vector", "scalar"])
@pytest.mark.parametrize("name", MANAGERS)
def test_weights_start_as_the_paper_says(name: str, channels: str) -> None:
    """Equations 4 and 5, section 3.1: 1/6 and 1, 1/(6 + l), or 1/6 and 1/l; temperature 1."""
    for level in range(4):
        options = ManagerOptions(WIDTH, num_experts=6, weight=channels)
        started = dict(build_manager(name, options, level).named_parameters())
        shape = (WIDTH if channels == "vector" else 1,)
        static = level == 0 or name in ("sae", "sae-split", "saue")
        values = {"temperature": (1.0, (1,))}
        if static:
            count = 6 + level * (name == "sae")
            values["scores"] = (1 / count, (count, *shape))
        if level > 1 and name == "sae-split":
            values["previous_scores"] = (1 / level, (level, *shape))
            values["previous_temperature"] = (1.0, (1,))
        if level and not name.startswith("sae"):
            values["previous_weight"] = (1.0, shape)
        for key, (value, size) in values.items():
            assert torch.equal(started[key].detach(), torch.full(size, value)), key
        others = {"scores", "previous_scores", "previous_weight", "previous_temperature"}
        assert not (others - values.keys()) & started.keys()


@torch.no_grad()
def test_weights_of_previous_outputs_sum_to_one() -> None:
    """SAE's split form adds a convex mixture of the previous outputs, in either mode."""
    manager, given = build("sae-split", 3), inputs(3)
    for norm in manager.previous_norms:  # type: ignore[union-attr]
        norm.weight.zero_()
        norm.bias.fill_(1.0)
    for training in (False, True):
        torch.manual_seed(1)
        managed, weights = manager.train(training)(given)
        uni_modal = manager.weighted_sum(given.experts, weights)
        assert torch.allclose(managed - uni_modal, torch.ones_like(managed), atol=1e-5)


def test_noise_has_the_spread_of_the_paper() -> None:
    """Standard deviation 1/N, one draw a sample, expert, position and channel."""
    manager = build("aaue", 1).train()
    torch.manual_seed(0)
    noise = manager.draw_noise((64, EXPERTS, TEXT, WIDTH), torch.empty(0))
    assert noise.shape == (64, EXPERTS, TEXT, WIDTH)
    assert noise.std().item() == pytest.approx(1 / EXPERTS, rel=0.05)
    assert noise.unique().numel() > 0.99 * noise.numel()
