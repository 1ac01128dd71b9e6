"""An activation and the linear layer behind it: what the activation gives is made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mt_fairseq.kernels.cpu.products import bias_gradient, gradients, product
from mt_fairseq.kernels.plain import QUICK_GELU_SLOPE


def _quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), by torch's fused silu(y) = y sigmoid(y) of y = 1.702 x."""
    return F.silu(x * QUICK_GELU_SLOPE, inplace=True).div_(QUICK_GELU_SLOPE)


def _gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    return torch.ops.aten.gelu_backward(grad, x)


def _quick_gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    return torch.ops.aten.silu_backward(grad, x * QUICK_GELU_SLOPE)


Forward = Callable[[Tensor], Tensor]
Backward = Callable[[Tensor, Tensor], Tensor]
ACTIVATIONS: dict[str, tuple[Forward, Backward]] = {
    "gelu": (F.gelu, _gelu_backward),
    "quick_gelu": (_quick_gelu, _quick_gelu_backward),
}


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
        of_activated, of_weight = gradients(ctx, grad, activation(x), weight)
        of_x = None if of_activated is None else backward(of_activated, x)
        return of_x, of_weight, bias_gradient(ctx, grad), None


def activated_linear(x: Tensor, layer: nn.Linear, activation: str) -> Tensor:
    """As ``plain.activated_linear``, for a layer that is nothing but its weight and bias."""
    return _ActivatedLinear.apply(x, layer.weight, layer.bias, activation)
