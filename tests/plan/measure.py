"""Peak memory of real training steps, in a process of its own.

Arguments: path of a configuration, samples a batch, overrides. Prints the bytes that the model, its
gradients, AdamW and the steps take beyond a process that has everything imported and has run a step
before.
"""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import peak_memory


def warm_up() -> None:
    """What torch loads at the first step: the engine, the kernels, the optimizer."""
    layer = nn.Linear(8, 8)
    F.scaled_dot_product_attention(*3 * [layer(torch.ones(1, 1, 4, 8))]).sum().backward()
    layer.zero_grad()


def main(config: str, batch: int, overrides: list[str]) -> None:
    from mt_fairseq.analysis.flops import Inputs, build_random
    from mt_fairseq.optim.adamw import AdamW
    from mt_fairseq.plan.recipe import read_recipe

    recipe = read_recipe(config, overrides)
    side, tokens = int(recipe.cfg.task.image_size), int(recipe.cfg.task.max_text_len)
    warm_up()
    before = peak_memory()
    inputs = Inputs((side, side), tokens)
    model = build_random(recipe.architecture, inputs, **recipe.model_options).train()
    model.register_classification_head("vqa", 3129)
    optimizer = AdamW(model.parameters(), lr=1e-3)
    texts = torch.full((batch, tokens), 5)
    images = torch.zeros(batch, 1, 3, side, side, dtype=torch.uint8)
    scores = torch.zeros(batch, 3129)
    for _ in range(2):
        logits = model(texts, images, classification_head_name="vqa").logits
        F.binary_cross_entropy_with_logits(logits.float(), scores).backward()
        optimizer.step()
        optimizer.zero_grad()
    print(peak_memory() - before)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
