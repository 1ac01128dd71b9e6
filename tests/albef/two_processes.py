"""One of two processes that train a small ALBEF together; see test_distributed.py."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import distributed

import mt_fairseq.plugin  # noqa: F401  registers the models
from mt_fairseq.criterions.contrastive import itm_loss
from mt_fairseq.criterions.distillation import distilled_cross_entropy, distilled_itc_loss
from mt_fairseq.models.albef import AlbefModel
from tests.albef.small import PRETRAINING, batch, build

STEPS, SHARES = 3, (3, 2)  # samples of each process
LR = 0.05


def fresh() -> AlbefModel:
    torch.manual_seed(0)
    model = build(PRETRAINING, twin=True, momentum=0.5)
    with torch.no_grad():
        for parameter in model.twin.parameters():
            parameter.mul_(1.1)
    return model


def share(step: int, rank: int) -> dict[str, torch.Tensor]:
    return batch(SHARES[rank], seed=10 * step + rank)


def loss_of(model: AlbefModel, inputs: dict[str, torch.Tensor], **options: bool) -> torch.Tensor:
    """The sum of a share's losses; target words are the texts' own."""
    output = model(**inputs, step="alignment", **options)
    words = inputs["src_tokens"][inputs["masked_positions"]]
    mlm = distilled_cross_entropy(output.mlm_logits, words, output.mlm_teacher_logits, output.alpha)
    return distilled_itc_loss(output.itc, output.alpha) + itm_loss(output.itm) + mlm.sum()


def descend(model: AlbefModel) -> None:
    """A plain gradient step."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= LR * parameter.grad / sum(SHARES)
                parameter.grad = None


def main(rank: int, file: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{file}.meet", rank=rank, world_size=2
    )
    model = fresh()
    for step in range(STEPS):
        model.set_num_updates(step)
        loss_of(model, share(step, rank)).backward()
        for parameter in model.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
        descend(model)
    # the second process has no data left and runs a batch that stands in
    model.set_num_updates(STEPS)
    loss_of(model, share(STEPS, 0), is_dummy=rank == 1)
    torch.save(model.state_dict(), f"{file}.{rank}")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
