"""BridgeTower beside transformers' own: the same weights, the same result, time and memory."""

from __future__ import annotations

import argparse

import torch

from benchmarks.bridgetowers import OURS, PEER, forward, forward_backward, given, peer_config
from benchmarks.measure import in_own_process, in_turns
from benchmarks.registry import register_benchmark
from benchmarks.result import Result
from mt_fairseq.convert import from_huggingface
from mt_fairseq.modules import hf

TIME, MEMORY = 0.85, 0.8
PAIR, STEP = 1, 2  # pairs a pass: an answer; a step of training
MANY, LARGE_STEP = 8, 4  # where memory counts: weights alone are 1.2 GiB, with gradients 2.5
BOUND = 1e-4
PROCESS = "benchmarks.processes.bridgetower_peak"


@register_benchmark("transformers", "BridgeTower beside transformers', time and memory", 5, False)
def transformers(args: argparse.Namespace) -> list[Result]:
    """384 pixels, 50 tokens; raises AssertionError where the results differ by more than 1e-4."""
    torch.manual_seed(0)
    theirs = hf.BridgeTowerModel(peer_config()).eval()
    models = {OURS: from_huggingface(theirs), PEER: theirs}
    pair, batch = given(PAIR), given(STEP)
    passes = {label: forward(model, pair) for label, model in models.items()}
    largest = largest_difference(passes[OURS](), passes[PEER]())
    assert largest <= BOUND, largest
    inference = in_turns(passes, args.rounds)
    steps = {label: forward_backward(model, batch) for label, model in models.items()}
    training = in_turns(steps, args.rounds)
    equal = {"largest_difference": largest}
    return [
        Result("transformers", "s", OURS, PEER, TIME, inference, "lower", details=equal),
        Result("transformers.step", "s", OURS, PEER, TIME, training, "lower"),
        peak_memory("transformers.memory", "forward", MANY),
        peak_memory("transformers.step_memory", "step", LARGE_STEP),
    ]


def largest_difference(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...]) -> float:
    """Over all values of text states, image states and the pooled pair."""
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))


def peak_memory(name: str, what: str, batch: int) -> Result:
    """MiB of whole processes, interpreter and weights included, one after the other."""
    runs = {
        label: [in_own_process(PROCESS, side, what, batch)["MiB"]]
        for label, side in ((OURS, "ours"), (PEER, "peer"))
    }
    notes = [f"{batch} pairs at once"]
    return Result(name, "MiB", OURS, PEER, MEMORY, runs, "lower", notes=notes)
