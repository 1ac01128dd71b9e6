"""oneDNN's float32 products of linear layers on CPUs.

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
def products_of_many_shapes() -> Iterator[None]:
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
        return *gradients(ctx, grad, x, weight), bias_gradient(ctx, grad)


def gradients(
    ctx: Any, grad: Tensor, x: Tensor, weight: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Of input and weight, each if it is wanted."""
    wants_x, wants_weight = ctx.needs_input_grad[:2]
    of_x = product(grad, weight.T) if wants_x else None
    rows, columns = grad.flatten(0, -2), x.flatten(0, -2)
    return of_x, product(rows.T, columns.T) if wants_weight else None


def bias_gradient(ctx: Any, grad: Tensor) -> Tensor | None:
    return grad.flatten(0, -2).sum(0) if ctx.has_bias and ctx.needs_input_grad[2] else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    if not torch.is_grad_enabled():
        return product(x, weight, bias)
    if not goes_to_onednn(x, weight):
        return F.linear(x, weight, bias)
    return _Linear.apply(x, weight, bias)


class Linear(nn.Linear):
    """torch's linear layer over the faster product."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return linear(x, self.weight, self.bias)

    @classmethod
    def of(cls, layer: nn.Linear) -> Linear:
        """A layer with the very parameters of ``layer``."""
        made = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        made.weight, made.bias = layer.weight, layer.bias
        return made.train(layer.training)


def use_faster_products(module: nn.Module) -> None:
    """Put one of these layers in the place of each plain linear layer below ``module``."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, Linear.of(child))
