"""Operations and memory of a step, counted on the meta device: no weights, no time.

Every part of the model runs once, on one text, one image or one pair. What autograd keeps for the
backward pass is counted tensor by tensor; attention is taken as a fused kernel, which keeps its
inputs, its output and one number a query, never the attention weights. A checkpointed layer keeps
what it was called with, and runs again, alone, in the backward pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.checkpointing import checkpointed_layers
from mt_fairseq.modules.outputs import ImageStates, TextStates


@dataclass(frozen=True)
class Cost:
    """What a part of the model costs.

    Attributes:
        operations: floating-point ones of a forward pass.
        kept: bytes that it keeps for the backward pass.
        repeated: operations that run again in the backward pass.
        momentary: bytes that the largest of the layers which run again keeps while it does.
    """

    operations: float
    kept: float
    repeated: float = 0.0
    momentary: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.operations + other.operations,
            self.kept + other.kept,
            self.repeated + other.repeated,
            max(self.momentary, other.momentary),
        )

    def __mul__(self, times: float) -> Cost:
        return Cost(
            self.operations * times,
            self.kept * times,
            self.repeated * times,
            self.momentary * times,
        )


class _FusedAttention(torch.autograd.Function):
    """Keeps what a fused attention kernel keeps."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = query.new_empty((*query.shape[:-1], value.shape[-1]))
        normaliser = torch.empty(query.shape[:-1], device=query.device)
        ctx.save_for_backward(query, key, value, out, normaliser)
        return out


class _FusedAttentionMode(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            return _FusedAttention.apply(*args[:3])
        return func(*args, **(kwargs or {}))


class _Kept:
    """The storages of tensors that it is shown, but for those that are there anyway."""

    def __init__(self, known: Iterator[Tensor]) -> None:
        self.known = {tensor.untyped_storage()._cdata for tensor in known}
        self.storages: dict[int, torch.UntypedStorage] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.known:
            self.storages[storage._cdata] = storage  # held, so that its address is not used again
        return tensor

    @property
    def nbytes(self) -> int:
        return sum(storage.nbytes() for storage in self.storages.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in arguments of a layer."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict) or is_dataclass(value):
        yield from _tensors(list((value if isinstance(value, dict) else vars(value)).values()))


Call = tuple[Any, Any, Any]
"""A layer, and its arguments by place and by name."""


@contextmanager
def _calls_of_checkpointed(model: nn.Module) -> Iterator[list[Call]]:
    """The calls of checkpointed layers within."""
    calls: list[Call] = []

    def note(layer: nn.Module, args: Any, kwargs: Any) -> None:
        calls.append((layer, args, kwargs))

    hooks = [
        layer.register_forward_pre_hook(note, with_kwargs=True)
        for layer in checkpointed_layers(model)
    ]
    yield calls
    for hook in hooks:
        hook.remove()


def count(run: Callable[[], object], model: nn.Module) -> Cost:
    """The cost of ``run()``, which must run parts of ``model`` on the meta device."""
    with FlopCounterMode(display=False) as counter:
        run()
    kept = _Kept(_tensors([*model.parameters(), *model.buffers()]))
    with (
        _calls_of_checkpointed(model) as calls,
        _FusedAttentionMode(),
        saved_tensors_hooks(kept, lambda tensor: tensor),
    ):
        outcome = run()
    del outcome
    for argument in _tensors([(args, kwargs) for _, args, kwargs in calls]):
        kept(argument)
    again = [_count_again(*call) for call in calls]
    return Cost(
        counter.get_total_flops(),
        kept.nbytes,
        repeated=sum(cost.operations for cost in again),
        momentary=max((cost.kept for cost in again), default=0.0),
    )


def _count_again(layer: Any, args: Any, kwargs: Any) -> Cost:
    """The cost of a checkpointed layer as it runs in the backward pass, its arguments at hand."""
    run = functools.partial(layer.forward.plainly, *args, **kwargs)
    with FlopCounterMode(display=False) as counter:
        run()
    kept = _Kept(_tensors([*layer.parameters(), *layer.buffers(), args, kwargs]))
    with _FusedAttentionMode(), saved_tensors_hooks(kept, lambda tensor: tensor):
        outcome = run()
    del outcome
    return Cost(counter.get_total_flops(), kept.nbytes)


@dataclass(frozen=True)
class PartCosts:
    """One text through its encoder, one image, one pair through the fusion to its pooled states.

    The pass of masked language modelling, which is not pooled, costs about as much: its last layer
    leaves out the image's half, the other passes all positions but the first.
    """

    text: Cost
    image: Cost
    pair: Cost


def count_parts(model: TwoTowerModel, tokens: int) -> PartCosts:
    """Costs of a model on the meta device, in training mode, for texts of ``tokens``."""
    network = model.network
    texts = torch.ones(1, tokens, dtype=torch.long, device="meta")
    pixels = torch.zeros(1, 3, *network.vision_encoder.image_size, device="meta")
    with torch.no_grad():
        text = model.encode_text(texts)
        image = model.encode_images(pixels)
    text_leaves = TextStates(_leaves(text.experts), text.last, text.mask)
    image_leaves = ImageStates(_leaves(image.experts), image.last)
    return PartCosts(
        text=count(lambda: model.encode_text(texts), model),
        image=count(lambda: model.encode_images(pixels), model),
        pair=count(
            lambda: network.pool(network.fuse(text_leaves, image_leaves, first_only=True)), model
        ),
    )


def _leaves(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.detach().requires_grad_() for tensor in tensors]


def count_head(model: TwoTowerModel, name: str, inputs: int, loss_bytes: int) -> Cost:
    """A head on ``inputs`` rows of states, with its loss in float32.

    Args:
        inputs: rows a sample: 1 pooled pair, or the words that MLM predicts.
        loss_bytes: what the loss keeps, bytes a logit.
    """
    head = model.heads[name]
    first = next(p for p in head.parameters() if p.dim() == 2)
    states = torch.zeros(1, first.shape[1], device="meta", dtype=first.dtype, requires_grad=True)
    with torch.no_grad():
        logits = head(states).numel()
    return (count(lambda: head(states), model) + Cost(0, loss_bytes * logits)) * inputs
