"""The faster linear layers, and activations that are made again, against torch's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.kernels import use_faster_products
from mt_fairseq.kernels.cpu import products as cpu_products
from mt_fairseq.kernels.cpu.products import Linear
from mt_fairseq.kernels.plain import ACTIVATIONS
from mt_fairseq.modules.feed_forward import FeedForward


@pytest.fixture(params=["onednn", "torch"])
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways, wherever the test runs: oneDNN multiplies on every x86 processor."""
    if request.param == "onednn" and not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    monkeypatch.setattr(cpu_products, "ONEDNN_IS_FASTER", request.param == "onednn")


def gradients(run: Callable[[], Tensor], leaves: list[Tensor]) -> list[Tensor]:
    result = run()
    return [result.detach(), *torch.autograd.grad(result.sin().sum(), leaves)]


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layer(products: None, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(24, 40, bias))
    x = torch.randn(4, 9, 24, requires_grad=True)
    leaves = [x, *layer.parameters()]
    expected = gradients(lambda: layer(x), leaves)
    use_faster_products(layer)
    assert type(layer[0]) is Linear
    for ours, theirs in zip(gradients(lambda: layer(x), leaves), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_feed_forward(products: None, name: str) -> None:
    torch.manual_seed(0)
    up, down = Linear(24, 96), Linear(96, 24)
    x = torch.randn(4, 9, 24, requires_grad=True)
    leaves = [x, *up.parameters(), *down.parameters()]
    expected = gradients(
        lambda: F.linear(
            ACTIVATIONS[name](F.linear(x, up.weight, up.bias)), down.weight, down.bias
        ),
        leaves,
    )
    part = FeedForward(up, down, name)
    for ours, theirs in zip(gradients(lambda: part(x), leaves), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_frozen_parts_get_no_gradient(products: None) -> None:
    part = FeedForward(Linear(24, 96), Linear(96, 24), "gelu")
    part.fc2.weight.requires_grad_(False)
    part(torch.randn(2, 20, 24)).sum().backward()
    assert part.fc2.weight.grad is None
    assert part.fc2.bias.grad is not None and part.fc1.weight.grad is not None


def test_other_types_are_torchs_own(products: None) -> None:
    part = FeedForward(Linear(24, 96), Linear(96, 24), "quick_gelu")
    x = torch.randn(20, 24)
    expected = part(x)
    with torch.autocast("cpu", torch.bfloat16):
        cast = part(x)
        cast.sum().backward()
    assert cast.dtype == torch.bfloat16
    assert part.fc1.weight.grad is not None
    assert part.double()(x.double()).dtype == torch.float64
    torch.testing.assert_close(cast.float(), expected, rtol=0.05, atol=0.05)
