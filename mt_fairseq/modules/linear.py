"""Linear layers and activations for training on CPUs: oneDNN's float32 products, less kept memory.

torch multiplies float32 matrices on x86 with MKL, which uses AVX-512 on Intel's processors alone;
on others that have it, oneDNN (part of torch too) is about twice as fast. All else, other types
and devices included, runs as ``torch.nn.functional`` has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

QUICK_GELU_SLOPE = 1.702
LEAST_ROWS = 16  # with fewer, reading the weights takes the time, not the products


def _onednn_is_faster() -> bool:
    if not torch.backends.mkldnn.is_available() or not hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    ):
        return False
    cpuinfo = Path("/proc/cpuinfo")
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not cpuinfo.is_file():
        return False
    return "GenuineIntel" not in cpuinfo.read_text(encoding="utf-8")


ONEDNN_IS_FASTER = _onednn_is_faster()
"""Whether float32 products go to oneDNN: AVX-512 on a processor that is not Intel's."""

_left_out = False


@contextmanager
def without_onednn() -> Iterator[None]:
    """Products of ever new shapes: oneDNN would keep half a MB for each (seen in torch 2.13)."""
    global _left_out
    before, _left_out = _left_out, True
    try:
        yield
    finally:
        _left_out = before


def goes_to_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether ``x`` (..., in) times ``weight`` (out, in) is one that oneDNN does faster."""
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() >= LEAST_ROWS * x.shape[-1]
        and ONEDNN_IS_FASTER
        and not _left_out
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # inductor takes the operation for inference alone
    )


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., in), weight (out, in), bias (out,) -> x W' + b (..., out), without gradient."""
    if goes_to_onednn(x, weight):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


class _Linear(torch.autograd.Function):
    """x W' + b, its gradients by the same products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        return *_gradients(ctx, grad, x, weight), _bias_gradient(ctx, grad)


def _gradients(
    ctx: Any, grad: Tensor, x: Tensor, weight: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Of input and weight, each if it is wanted."""
    wants_x, wants_weight = ctx.needs_input_grad[:2]
    of_x = product(grad, weight.T) if wants_x else None
    rows, columns = grad.flatten(0, -2), x.flatten(0, -2)
    return of_x, product(rows.T, columns.T) if wants_weight else None


def _bias_gradient(ctx: Any, grad: Tensor) -> Tensor | None:
    return grad.flatten(0, -2).sum(0) if ctx.has_bias and ctx.needs_input_grad[2] else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    if not torch.is_grad_enabled():
        return product(x, weight, bias)
    if not goes_to_onednn(x, weight):
        return F.linear(x, weight, bias)
    return _Linear.apply(x, weight, bias)


class _BatchedProduct(torch.autograd.Function):
    """a b' sample by sample, its gradients by the same products."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return _sample_by_sample(a, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        wants_a, wants_b = ctx.needs_input_grad
        return (
            _sample_by_sample(grad, b.mT) if wants_a else None,
            _sample_by_sample(grad.mT, a.mT) if wants_b else None,
        )


def _sample_by_sample(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([product(own, other) for own, other in zip(a, b, strict=True)])


def batched_product(a: Tensor, b: Tensor) -> Tensor:
    """a (B, T, K), b (B, S, K) -> a b' (B, T, S); a batch of one goes with all of the other."""
    if not goes_to_onednn(a[0], b[0]):
        return a @ b.mT
    batch = max(len(a), len(b))
    return _BatchedProduct.apply(*(side.expand(batch, -1, -1) for side in (a, b)))


class Linear(nn.Linear):
    """torch's linear layer over the faster product."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return linear(x, self.weight, self.bias)


def use_fast_linears(module: nn.Module) -> None:
    """Let all of torch's own linear layers below ``module`` take the faster product."""
    for child in module.modules():
        if type(child) is nn.Linear:
            child.__class__ = Linear


def gelu(x: Tensor) -> Tensor:
    """Exact GELU."""
    return F.gelu(x)


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's x sigmoid(1.702 x), by torch's fused silu(y) = y sigmoid(y) of y = 1.702 x."""
    return F.silu(x * QUICK_GELU_SLOPE, inplace=True).div_(QUICK_GELU_SLOPE)


def _gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    return torch.ops.aten.gelu_backward(grad, x)


def _quick_gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    return torch.ops.aten.silu_backward(grad, x * QUICK_GELU_SLOPE)


ACTIVATIONS = {"gelu": (gelu, _gelu_backward), "quick_gelu": (quick_gelu, _quick_gelu_backward)}


class _ActivatedLinear(torch.autograd.Function):
    """act(x) W' + b; keeps x alone and makes act(x) again for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, name: str) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias, ctx.name = bias is not None, name
        return product(ACTIVATIONS[name][0](x), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        activation, backward = ACTIVATIONS[ctx.name]
        of_activated, of_weight = _gradients(ctx, grad, activation(x), weight)
        of_x = None if of_activated is None else backward(of_activated, x)
        return of_x, of_weight, _bias_gradient(ctx, grad), None


def activated_linear(x: Tensor, layer: nn.Linear, name: str) -> Tensor:
    """``layer(act(x))`` for the activation ``name``, "gelu" or "quick_gelu"."""
    if not x.is_meta and torch.is_autocast_enabled(x.device.type):  # which casts between the two
        return layer(ACTIVATIONS[name][0](x))
    return _ActivatedLinear.apply(x, layer.weight, layer.bias, name)


class FeedForward(nn.Module):
    """The feed-forward part of a vision block; with its names, fc1 and fc2.

    Args:
        fc1, fc2: linear layers up and down.
        activation: name of what stands between them, one of ``ACTIVATIONS``.
    """

    def __init__(self, fc1: nn.Linear, fc2: nn.Linear, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.fc1 = fc1
        self.fc2 = fc2

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) -> (..., W)."""
        return activated_linear(self.fc1(x), self.fc2, self.activation)
