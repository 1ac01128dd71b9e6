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
from mt_fairseq.convert.task_parts import head_kind


def warm_up() -> None:
    """What torch loads at the first step: the engine, the kernels, the optimizer."""
    layer = nn.Linear(8, 8)
    F.scaled_dot_product_attention(*3 * [layer(torch.ones(1, 1, 4, 8))]).sum().backward()
    layer.zero_grad()


def main(config: str, batch: int, overrides: list[str]) -> None:
    from mt_fairseq.analysis.flops import Inputs, build_random
    from mt_fairseq.models.albef.model import AlbefModel
    from mt_fairseq.optim.adamw import AdamW
    from mt_fairseq.plan.recipe import read_recipe

    recipe = read_recipe(config, overrides)
    albef = "distill_alpha" in recipe.model_options
    words, classes = (30_522, 3) if albef else (50_265, 3129)
    options = recipe.model_options
    if albef:  # its twin comes after the head
        options["distill_alpha"] = 0.0
    side, tokens = int(recipe.cfg.task.image_size), int(recipe.cfg.task.max_text_len)
    warm_up()
    before = peak_memory()
    model = build_random(recipe.architecture, Inputs((side, side), tokens, words), **options)
    model.train().register_classification_head(recipe.task, classes, head_kind(recipe.task))
    if isinstance(model, AlbefModel):
        model.cfg.distill_alpha, model.cfg.constant_alpha = 0.4, True
        model.add_twin()
    optimizer = AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    texts = torch.full((batch, tokens), 5)
    images = torch.zeros(batch, 1, 3, side, side, dtype=torch.uint8)
    scores = torch.zeros(batch, classes)
    for update in range(2):
        model.set_num_updates(update)
        output = model(texts, images, classification_head_name=recipe.task)
        F.binary_cross_entropy_with_logits(output.logits.float(), scores).backward()
        optimizer.step()
        optimizer.zero_grad()
    print(peak_memory() - before)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
