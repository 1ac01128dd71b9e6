"""The door to the few operations that have a faster or leaner form than plain torch.

``plain`` says what each means. Which form runs is decided here and nowhere else: a CPU form for
tensors on a CPU, a lean form where memory is saved on any device, the plain one in compiled passes,
for layers that are more than their weight and bias, and for everything under MT_PLAIN_KERNELS=1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_hooks

from mt_fairseq.kernels import plain
from mt_fairseq.kernels.cpu import attention as cpu_attention
from mt_fairseq.kernels.cpu import draws as cpu_draws
from mt_fairseq.kernels.cpu import dropout as cpu_dropout
from mt_fairseq.kernels.cpu import products
from mt_fairseq.kernels.cpu.products import products_of_many_shapes
from mt_fairseq.kernels.lean import activated_linear as lean_linear
from mt_fairseq.kernels.lean import noisy_sum
from mt_fairseq.kernels.plain import ACTIVATIONS

__all__ = [
    "ACTIVATIONS",
    "activated_linear",
    "attention",
    "autocast_to",
    "dropout",
    "noisy_weighted_sum",
    "normal_noise",
    "products_of_many_shapes",
    "use_faster_products",
]

PLAIN = os.environ.get("MT_PLAIN_KERNELS") == "1"
POSITIONS = 128
"""Of all samples together, in a weighted sum on a CPU: what six experts need for them stays in a
processor's caches."""


def _plainly() -> bool:
    """Compiled passes take the plain forms, which the compiler fuses."""
    return PLAIN or torch.compiler.is_compiling()


def _on_cpu(x: Tensor) -> bool:
    return not _plainly() and x.device.type == "cpu"


def _is_bare(layer: nn.Module) -> bool:
    """Whether calling the layer does nothing but multiply by its weight and add its bias."""
    return type(layer) in (nn.Linear, products.Linear) and not (
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or global_hooks._has_any_global_hook()
    )


def use_faster_products(module: nn.Module) -> None:
    """Give the linear layers below ``module`` the products that are fastest on this CPU."""
    if not PLAIN:
        products.use_faster_products(module)


def activated_linear(x: Tensor, layer: nn.Module, activation: str) -> Tensor:
    """``layer(act(x))``: see ``plain.activated_linear``; ``activation`` of ``ACTIVATIONS``."""
    casts = not x.is_meta and torch.is_autocast_enabled(x.device.type)  # between the two
    if _plainly() or casts or not isinstance(layer, nn.Linear) or not _is_bare(layer):
        return plain.activated_linear(x, layer, activation)
    return lean_linear.activated_linear(x, layer, activation)


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """Scaled dot-product attention of heads: see ``plain.attention``."""
    if dropout and _on_cpu(query):
        return cpu_attention.dropped_attention(query, key, value, mask, dropout)
    return plain.attention(query, key, value, mask, dropout)


def autocast_to(like: Tensor) -> torch.autocast:
    """Inside, products run in the type of ``like``, on its device; in float32 nothing is cast."""
    return torch.autocast(like.device.type, like.dtype, enabled=like.dtype != torch.float32)


def dropout(x: Tensor, probability: float) -> Tensor:
    """Zeros at random, the rest scaled up: see ``plain.dropout``."""
    if not probability:
        return x
    if probability < 1 and _on_cpu(x):
        return cpu_dropout.dropout(x, probability)
    return plain.dropout(x, probability)


def normal_noise(shape: tuple[int, ...], like: Tensor, std: float) -> Tensor:
    """Normal values: see ``plain.normal_noise``."""
    form = cpu_draws if _on_cpu(like) else plain
    return form.normal_noise(shape, like, std)


def noisy_weighted_sum(
    scores: Tensor,
    noise: Tensor,
    temperature: Tensor,
    scale: Tensor,
    shift: Tensor,
    rows: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """A manager's weighted sum with noise: see ``plain.noisy_weighted_sum``."""
    if _plainly():
        return plain.noisy_weighted_sum(scores, noise, temperature, scale, shift, rows)
    at_once = POSITIONS if _on_cpu(noise) else None
    return noisy_sum.noisy_weighted_sum(scores, noise, temperature, scale, shift, rows, at_once)
