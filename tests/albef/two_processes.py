"""One of two processes that train small ALBEFs together; see test_distributed.py."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import distributed

import mt_fairseq.plugin  # noqa: F401  registers the models
from mt_fairseq.criterions.albef import AlbefPretrainCriterion, AlbefRetrievalCriterion
from mt_fairseq.criterions.albef_classification import AlbefClassificationCriterion
from mt_fairseq.criterions.albef_pairs import AlbefPairsCriterion
from mt_fairseq.criterions.albef_vqa import AlbefVqaCriterion
from mt_fairseq.models.albef.model import AlbefModel
from tests.albef.small import PRETRAINING, WORDS, batch, build

STEPS, SHARES = 3, (3, 2)  # samples of each process
EPOCH = 2  # updates, over which alpha is ramped up
LR = 0.05
HEADS: dict[str, dict[str, int]] = {
    "pretraining": PRETRAINING,
    "retrieval": {"itc": 0, "itm": 2},
    "classes": {"snli_ve": 3},
    "pairs": {"itc": 0, "pairs": 3},
    "answers": {"answers": WORDS},
}
ALIGNED = ("pretraining", "retrieval")  # kinds with a queue


def criterion(kind: str) -> Any:
    task: Any = SimpleNamespace(name="snli_ve", source_dictionary=SimpleNamespace(pad=lambda: 0))
    made = {
        "pretraining": lambda: AlbefPretrainCriterion(task, False, "itc,mlm"),
        "retrieval": lambda: AlbefRetrievalCriterion(task),
        "classes": lambda: AlbefClassificationCriterion(task),
        "pairs": lambda: AlbefPairsCriterion(task),
        "answers": lambda: AlbefVqaCriterion(task),
    }
    return made[kind]()


def fresh(kind: str) -> AlbefModel:
    """Its teacher is another model, so that a step towards the student shows."""
    torch.manual_seed(0)
    model = build(HEADS[kind], twin=kind != "pairs", momentum=0.5)
    model.set_batches_per_epoch(EPOCH)
    if kind == "pairs":
        model.heads["itc"].requires_grad_(False)
        return model
    with torch.no_grad():
        for parameter in model.twin.parameters():
            parameter.mul_(1.1)
    return model


def share(kind: str, step: int, rank: int, count: int | None = None) -> dict[str, Any]:
    """What a process gets of a step, as the datasets hand it over."""
    count = SHARES[rank] if count is None else count
    inputs: dict[str, Any] = batch(count, seed=10 * step + rank)
    random = torch.Generator().manual_seed(100 + 10 * step + rank)
    masked = {name: inputs.pop(name) for name in ("masked_tokens", "masked_words")}
    sample: dict[str, Any] = {"net_input": inputs, "ntokens": 1, "nsentences": count}
    groups = torch.randint(0, 4, (count,), generator=random)  # pictures come again and again
    if kind == "pretraining":
        words = masked["masked_words"]
        kept = words["rows"] < count - 1  # the last text is without masked words
        masked["masked_words"] = {name: column[kept] for name, column in words.items()}
        inputs |= masked
    if kind in ("retrieval", "pairs"):
        inputs["image_groups"] = groups
    if kind == "pairs":
        inputs["draws"] = torch.rand(count, 4, generator=random, dtype=torch.float64)
    if kind in ("classes", "answers"):
        del inputs["draws"]
    if kind == "classes":
        sample["labels"] = torch.randint(0, 3, (count,), generator=random)
        sample["labelled"] = count
    if kind == "answers":
        tokens = torch.tensor([[2, 7, 3, 0], [2, 8, 9, 3], [2, 10, 3, 0]])
        inputs["answer_tokens"] = tokens
        inputs["answer_rows"] = torch.tensor([0, 0, count - 1])
        sample["answer_weights"] = torch.tensor([0.7, 0.3, 0.5])
    return sample


def descend(model: AlbefModel, samples: int) -> None:
    """A plain gradient step."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= LR * parameter.grad / samples
                parameter.grad = None


def train(kind: str, rank: int) -> tuple[AlbefModel, list[float]]:
    """The model after its updates, and this process's losses."""
    model, objective, losses = fresh(kind), criterion(kind), []
    for step in range(STEPS):
        model.set_num_updates(step)
        loss, _, _ = objective(model, share(kind, step, rank))
        loss.backward()
        losses.append(float(loss.detach()))
        for parameter in model.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                distributed.all_reduce(parameter.grad)
        descend(model, sum(SHARES))
    if kind in ALIGNED:  # the second process has no data left and runs a batch that stands in
        model.set_num_updates(STEPS)
        objective(model, {**share(kind, STEPS, 0), "is_dummy": rank == 1})
    return model, losses


def main(rank: int, file: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{file}.meet", rank=rank, world_size=2
    )
    for kind in HEADS:
        model, losses = train(kind, rank)
        torch.save({"model": model.state_dict(), "losses": losses}, f"{file}.{kind}.{rank}")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
