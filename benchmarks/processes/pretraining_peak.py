"""``python -m benchmarks.processes.pretraining_peak FORM [OPTION ...]``: one pre-training step.

FORM is "one_step" or "two_passes"; options are "checkpointing", "bf16", "accumulation" (two
batches of half the size) and "plain" (layers as torch has them). Prints one line of JSON: peak
memory in GiB, seconds, parameters.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext

import torch

from benchmarks import pretraining_step
from benchmarks.measure import peak_memory, seconds
from benchmarks.plain_layers import plain_layers
from benchmarks.pretraining_step import BATCH, build, make_batch

GIB = 2**30


def main(form: str, *options: str) -> dict[str, float]:
    """Loss and gradients of 8 pairs; no optimizer, whose moments add the same to every form."""
    step = getattr(pretraining_step, form)
    model = build(checkpoint_activations="checkpointing" in options)
    if "bf16" in options:
        model = model.to(torch.bfloat16)
    parts = 2 if "accumulation" in options else 1
    batches = [make_batch(BATCH // parts, seed) for seed in range(parts)]

    def run() -> None:
        with plain_layers() if "plain" in options else nullcontext():
            for batch in batches:
                step(model, batch).backward()

    elapsed = seconds(run)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"peak": peak_memory() / GIB, "seconds": elapsed, "parameters": parameters}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
