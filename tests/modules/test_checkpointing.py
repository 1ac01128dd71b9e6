"""Checkpointed layers against the same model without: equal bit for bit, with all randomness on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from mt_fairseq.data.batches import masked_words
from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.models.stand_in import (
    BRIDGE,
    MANAGER,
    METER,
    VOCABULARY,
    StandInTask,
    batch,
    build_small,
)

VARIANTS: dict[str, dict[str, Any]] = {
    "aaue": MANAGER,
    "sae": {**MANAGER, "manager_type": "sae"},
    "merged": {**MANAGER, "fusion": "merged-attention"},
    "bridges": BRIDGE,
    "meter": METER,
    "vit-bert": {
        **MANAGER,
        "vision_encoder": "google/vit-base-patch16-224",
        "text_encoder": "bert-base-uncased",
    },
}


def build(**options: Any) -> TwoTowerModel:
    task = StandInTask(heads={"mlm": VOCABULARY, "itm": 2})
    return build_small(task, **options).train()


def loss_of(model: TwoTowerModel) -> Tensor:
    """A pre-training step, the same random numbers at every call."""
    tokens, images = batch()
    positions = torch.zeros_like(tokens, dtype=torch.bool)
    positions[:, 1] = True
    torch.manual_seed(3)
    output = model(
        tokens, images, step="pretraining", masked_tokens=tokens,
        masked_words=masked_words(tokens, positions),
        image_index=torch.tensor([1, 1, 2, 0]),
    )  # fmt: skip
    return output.mlm_logits.logsumexp(-1).sum() + output.itm.logits.logsumexp(-1).sum()


def gradients(model: TwoTowerModel) -> Iterator[Tensor]:
    return (p.grad for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_losses_and_gradients_are_the_same(options: dict[str, Any]) -> None:
    plain, saving = build(**options), build(**options, checkpoint_activations=True)
    assert list(saving.state_dict()) == list(plain.state_dict())
    saving.load_state_dict(plain.state_dict())
    losses = [loss_of(model) for model in (plain, saving)]
    for loss in losses:
        loss.backward()
    assert losses[0].equal(losses[1])
    pairs = list(zip(gradients(plain), gradients(saving), strict=True))
    assert len(pairs) > 100
    assert all(ours.equal(theirs) for ours, theirs in pairs)


def kept_bytes(model: TwoTowerModel) -> int:
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_of(model)
    del loss
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def test_less_is_kept() -> None:
    plain = build()
    saving = build(checkpoint_activations=True)
    assert kept_bytes(saving) < 0.5 * kept_bytes(plain)


def test_a_copy_runs_its_own_layers() -> None:
    """fairseq's moving average of weights copies models."""
    model = build(checkpoint_activations=True, manager_noise=0.0).eval()
    other = copy.deepcopy(model)
    before = loss_of(other)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert loss_of(other).equal(before)
    assert not loss_of(model).equal(before)
