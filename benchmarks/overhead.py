"""What managers cost: ManagerTower beside BridgeTower, which differs from it in them alone.

The paper counts 1.042 times the multiply-adds and timed 1.096 times the milliseconds on a GPU
(Table 6); one pair at base size, 384 pixels, 50 tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.measure import in_turns
from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from mt_fairseq.analysis.flops import Inputs, build_random
from mt_fairseq.freed_memory import keep_freed_memory
from mt_fairseq.models.two_tower.model import TwoTowerModel

INPUTS = Inputs(image_size=(384, 384), tokens=50)
OURS, PEER = "ManagerTower (AAUE, fused query)", "BridgeTower (sum)"
FORWARD, BOTH = 1.03, 1.08


@register_benchmark("overhead", "managers' share of a pass, forward and with backward", 9, False)
def overhead(args: argparse.Namespace) -> list[Result]:
    """Seconds of one pair; backward with the training noise and all dropout, as in training."""
    keep_freed_memory()
    models = {OURS: "managertower_base", PEER: "bridgetower_base"}
    tokens, images = one_pair()
    built = {label: build_random(name, INPUTS) for label, name in models.items()}
    passes = {label: forward(model, tokens, images) for label, model in built.items()}
    inference = in_turns(passes, args.rounds, warm_up=2)
    steps = {label: forward_backward(model, tokens, images) for label, model in built.items()}
    training = in_turns(steps, args.rounds, warm_up=2)
    return [
        Result("overhead", "s", OURS, PEER, FORWARD, inference, "lower"),
        Result("overhead.backward", "s", OURS, PEER, BOTH, training, "lower"),
    ]


def one_pair() -> tuple[Tensor, Tensor]:
    """A text of 50 tokens without padding (1, T), and an image (1, 1, 3, H, W), uint8."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, INPUTS.vocabulary, (1, INPUTS.tokens), generator=generator)
    shape = (1, 1, 3, *INPUTS.image_size)
    return tokens, torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def forward(model: TwoTowerModel, tokens: Tensor, images: Tensor) -> Callable[[], None]:
    """One pass in evaluation mode."""

    @torch.inference_mode()
    def run() -> None:
        model.eval()(tokens, images)

    return run


def forward_backward(model: TwoTowerModel, tokens: Tensor, images: Tensor) -> Callable[[], None]:
    """A pass in training mode, and gradients of all parameters for a loss that reads all states."""

    def run() -> None:
        output = model.train()(tokens, images)
        assert output.image is not None and output.pooled is not None
        loss = sum(states.square().mean() for states in (output.text, output.image, output.pooled))
        assert isinstance(loss, Tensor)
        loss.backward()
        model.zero_grad(set_to_none=True)

    return run
