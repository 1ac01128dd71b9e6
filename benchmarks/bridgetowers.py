"""transformers' BridgeTower at base size, ours with the same weights, and what both are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mt_fairseq.modules import hf

IMAGE_SIZE, TOKENS = 384, 50
OURS, PEER = "bridgetower_base", "transformers' BridgeTowerModel"

Pass = Callable[[], tuple[Tensor, Tensor, Tensor]]


def peer_config() -> Any:
    """Of the published base model, at the image size of the papers' fine-tuning."""
    return hf.BridgeTowerConfig(
        vision_config={"image_size": IMAGE_SIZE, "hidden_size": 768, "num_hidden_layers": 12}
    )


def given(batch: int) -> dict[str, Tensor]:
    """Texts without padding and images, as transformers' processor hands them over."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(
        4, peer_config().text_config.vocab_size, (batch, TOKENS), generator=generator
    )
    shape = (batch, 3, IMAGE_SIZE, IMAGE_SIZE)
    return {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "pixel_values": torch.randn(shape, generator=generator),
    }


def pass_of(model: Any, inputs: dict[str, Tensor]) -> Pass:
    """A call that gives all text states, all image states and the pooled pair of either model."""
    if isinstance(model, hf.BridgeTowerModel):

        def theirs() -> tuple[Tensor, Tensor, Tensor]:
            output = model(**inputs)
            return output.text_features, output.image_features, output.pooler_output

        return theirs

    def ours() -> tuple[Tensor, Tensor, Tensor]:
        output = model(inputs["input_ids"], inputs["pixel_values"])
        return output.text, output.image, output.pooled

    return ours


def forward(model: Any, inputs: dict[str, Tensor]) -> Callable[[], tuple[Tensor, Tensor, Tensor]]:
    """One pass in evaluation mode."""
    return torch.inference_mode()(pass_of(model.eval(), inputs))


def forward_backward(model: Any, inputs: dict[str, Tensor]) -> Callable[[], None]:
    """A pass in training mode, and gradients of all parameters for a loss that reads all states."""
    run = pass_of(model, inputs)

    def step() -> None:
        model.train()
        sum(states.square().mean() for states in run()).backward()  # type: ignore[union-attr]
        model.zero_grad(set_to_none=True)

    return step
