"""Which form of an operation runs: plain ones wherever a layer is more than weight and bias."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mt_fairseq import kernels
from mt_fairseq.kernels import plain
from mt_fairseq.kernels.cpu.products import Linear
from tests import support
from tests.models.stand_in import VARIANTS, batch, build_small


class Adapted(nn.Linear):
    """As a LoRA or a quantised layer: more than its weight and bias."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x)


def adapt(network: nn.Module) -> dict[str, Adapted]:
    """Put an Adapted in the place of every linear layer."""
    adapted = {}
    for place, parent in list(network.named_modules()):
        for name, child in list(parent.named_children()):
            if type(child) in (nn.Linear, Linear):
                made = Adapted(child.in_features, child.out_features, child.bias is not None)
                made.load_state_dict(child.state_dict())
                setattr(parent, name, made)
                adapted[f"{place}.{name}"] = made
    return adapted


@pytest.mark.parametrize("name", VARIANTS)
def test_every_linear_layer_is_called(name: str) -> None:
    model = build_small(**VARIANTS[name]).train()
    adapted = adapt(model.network)
    assert len(adapted) > 20
    model(*batch())
    assert not [name for name, layer in adapted.items() if not layer.calls]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_norm_is_called(name: str) -> None:
    model = build_small(**VARIANTS[name]).train()
    called = set()
    norms = {n: m for n, m in model.network.named_modules() if isinstance(m, nn.LayerNorm)}
    for place, norm in norms.items():
        norm.register_forward_hook(lambda *_, place=place: called.add(place))
    model(*batch())
    assert called == set(norms)


def test_a_hook_on_a_layer_is_seen() -> None:
    layer, x, seen = nn.Linear(4, 3), torch.randn(2, 4), []
    handle = layer.register_forward_hook(lambda *_: seen.append(1))
    kernels.activated_linear(x, layer, "gelu")
    assert seen
    handle.remove()
    expected = plain.activated_linear(x, layer, "gelu")
    torch.testing.assert_close(kernels.activated_linear(x, layer, "gelu"), expected)


def test_noisy_sums_agree() -> None:
    torch.manual_seed(0)
    scores, noise = torch.randn(2, 3, 5, 1), torch.randn(2, 3, 5, 8)
    scale, shift = torch.rand(3, 8), torch.rand(3, 8)
    rows = [torch.randn(2, 5, 8) for _ in range(3)]
    given = torch.ones(1), scale, shift, rows
    expected = plain.noisy_weighted_sum(scores, noise, *given)
    torch.testing.assert_close(kernels.noisy_weighted_sum(scores, noise.clone(), *given), expected)


@pytest.mark.slow
def test_reference_values_with_plain_kernels(shared_dir: Path) -> None:
    """MT_PLAIN_KERNELS=1: the same golden tensors, forward and losses."""
    tests = [support.ROOT / "tests/convert" / name for name in (
        "test_golden_forward.py", "test_golden_training.py")]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=support.ROOT, env={**support.environment(), "MT_PLAIN_KERNELS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
