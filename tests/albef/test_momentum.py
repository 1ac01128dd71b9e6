"""The momentum twin and the feature queues."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.config import check_albef, check_queue
from mt_fairseq.modules.momentum import NO_ID, FeatureQueue, MomentumTwin
from tests.albef.small import PRETRAINING, batch, build


def test_twin_after_k_steps_in_closed_form() -> None:
    """m^k times the start, plus each step's weights with what is left of them."""
    torch.manual_seed(0)
    network, heads = nn.Linear(3, 2), nn.ModuleDict({"head": nn.Linear(2, 2)})
    twin = MomentumTwin(network, heads)
    start, seen = network.weight.detach().clone(), []
    momentum, steps = 0.9, 6
    for _ in range(steps):
        with torch.no_grad():
            network.weight.add_(torch.randn(2, 3))
        seen.append(network.weight.detach().clone())
        twin.follow(network, heads, momentum)
    expected = momentum**steps * start
    for number, weight in enumerate(seen):
        expected = expected + (1 - momentum) * momentum ** (steps - 1 - number) * weight
    assert torch.allclose(twin.network.weight, expected, atol=1e-6)
    assert torch.allclose(twin.heads["head"].weight, heads["head"].weight)
    assert not any(parameter.requires_grad for parameter in twin.parameters())


def test_queue_goes_round() -> None:
    queue = FeatureQueue(5, 2)
    fresh = queue.images.clone()
    assert torch.allclose(fresh.norm(dim=1), torch.ones(5))
    for start in (0, 3, 6):
        ids = torch.arange(start, start + 3)
        queue.enqueue(ids[:, None] + torch.zeros(3, 2), -ids[:, None] - torch.zeros(3, 2), ids)
        if start == 0:
            assert queue.ids.tolist() == [0, 1, 2, NO_ID, NO_ID]
            assert torch.equal(queue.images[3:], fresh[3:])
    assert queue.ids.tolist() == [5, 6, 7, 8, 4]
    assert queue.images[:, 0].tolist() == [5, 6, 7, 8, 4]
    assert queue.texts[:, 1].tolist() == [-5, -6, -7, -8, -4]
    assert int(queue.pointer) == 4
    queue.enqueue(torch.ones(2, 2), torch.ones(2, 2))
    assert queue.ids.tolist() == [NO_ID, 6, 7, 8, NO_ID]
    with pytest.raises(UserError, match="--queue-size 5: smaller than a batch of 6"):
        queue.enqueue(torch.ones(6, 2), torch.ones(6, 2))


def test_half_precision_leaves_twin_and_queue_alone() -> None:
    torch.manual_seed(0)
    model = build(PRETRAINING, twin=True).to(torch.bfloat16)
    kinds = {value.dtype for value in model.twin.state_dict().values()} - {torch.int64}
    assert kinds == {torch.float32} == {model.queue.images.dtype}
    assert model.network.words.dtype == torch.bfloat16
    inputs = batch(3, seed=0)
    inputs["images"] = inputs["images"].bfloat16()
    output = model(**inputs, step="alignment")
    assert torch.isfinite(output.itc.teacher_image_to_text).all()
    assert output.mlm_teacher_logits.isfinite().all()


def test_once_an_update_and_never_in_evaluation() -> None:
    """Accumulated batches move the twin once; each enters the queue."""
    torch.manual_seed(0)
    model = build(PRETRAINING, twin=True, momentum=0.5)
    with torch.no_grad():
        model.network.words.add_(1)
    moved = []
    for update in (1, 1, 2):
        model.set_num_updates(update)
        model(**batch(3, seed=update), step="alignment")
        moved.append((model.network.words - model.twin.network.words).mean().item())
    assert moved == pytest.approx([0.5, 0.5, 0.25], rel=1e-4)
    assert int(model.queue.pointer) == 9 % 6
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.set_num_updates(3)
    model(**batch(3, seed=5), step="alignment")
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_alpha_is_ramped_over_the_first_epoch() -> None:
    model = build(PRETRAINING, twin=True, update_freq=[2])
    model.set_batches_per_epoch(9)  # five updates
    alphas = []
    for update in (0, 1, 5, 6):
        model.set_num_updates(update)
        alphas.append(model.alpha)
    assert alphas == pytest.approx([0, 0.08, 0.4, 0.4])
    model.cfg.constant_alpha = True
    model.set_num_updates(0)
    assert model.alpha == 0.4


def test_impossible_options() -> None:
    for name, value in (("distill_alpha", 1.5), ("distill_alpha", -0.1), ("momentum", 2.0)):
        with pytest.raises(UserError, match=f"--{name.replace('_', '-')} must be from 0 to 1"):
            check_albef(build({}, **{name: value}).cfg)
    with pytest.raises(UserError, match="--fusion-layer 4: the text encoder has 4 layers"):
        check_albef(OmegaConf.merge(build({}).cfg, {"fusion_layer": 4}))
    cfg = build({}, queue_size=10, batch_size=2, world_size=2).cfg
    with pytest.raises(UserError, match="--queue-size 10 is no multiple of the batch, 4"):
        check_queue(cfg)
    cfg.queue_size = 12
    check_queue(cfg)
