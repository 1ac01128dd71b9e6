from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mt_fairseq.errors import UserError
from mt_fairseq.optim.adamw import AdamW, AdamWConfig, TwoTowerAdamW
from tests.models.stand_in import batch, build_small


@pytest.mark.parametrize(("kind", "decay"), [("decay", 0.06), ("plain", 0.0)])
def test_agrees_with_the_reference(shared_dir: Path, kind: str, decay: float) -> None:
    tensors = load_file(shared_dir / "golden" / "adamw.safetensors")
    parameter = torch.nn.Parameter(tensors["p0"].clone())
    optimizer = AdamW([parameter], lr=0.01, betas=(0.9, 0.98), eps=1e-8, weight_decay=decay)
    for number in range(1, 6):
        parameter.grad = tensors[f"grad.{number}"].clone()
        optimizer.step()
        assert torch.allclose(parameter, tensors[f"p_{kind}.{number}"], rtol=0, atol=1e-7)


def build(**options: float) -> tuple[torch.nn.Module, TwoTowerAdamW]:
    model = build_small(dropout=0.0, attention_dropout=0.0, encoder_dropout=0.0, manager_noise=0.0)
    cfg = AdamWConfig(lr=[0.01], **options)  # type: ignore[arg-type]
    return model, TwoTowerAdamW(cfg, model.parameters())


def step(model: torch.nn.Module, optimizer: TwoTowerAdamW) -> None:
    tokens, images = batch()
    optimizer.zero_grad()
    model(tokens, images).pooled.square().sum().backward()
    optimizer.step()


def test_groups_keep_their_multipliers() -> None:
    _, optimizer = build(head_lr_multiplier=50.0, cross_modal_lr_multiplier=5.0)
    optimizer.set_lr(0.1)
    assert optimizer.get_lr() == 0.1
    rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
    assert rates["base"] == rates["base.no_decay"] == 0.1
    assert rates["cross_modal"] == pytest.approx(0.5)
    assert rates["head.no_decay"] == pytest.approx(5.0)
    decays = {group["name"]: group["weight_decay"] for group in optimizer.param_groups}
    assert decays["head"] == 0.01
    assert decays["head.no_decay"] == 0.0


def test_untagged_parameters_are_base() -> None:
    optimizer = TwoTowerAdamW(AdamWConfig(lr=[0.01]), [torch.nn.Parameter(torch.ones(2))])
    assert [group["name"] for group in optimizer.param_groups] == ["base"]


def test_a_restored_state_goes_on_bit_for_bit() -> None:
    model, optimizer = build(cross_modal_lr_multiplier=5.0)
    for _ in range(2):
        step(model, optimizer)
    saved_model = copy.deepcopy(model.state_dict())
    saved = copy.deepcopy(optimizer.state_dict())
    step(model, optimizer)
    other, restored = build(cross_modal_lr_multiplier=5.0)
    other.load_state_dict(saved_model)
    restored.load_state_dict(saved)
    restored.set_lr(optimizer.get_lr())
    step(other, restored)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, dict(other.named_parameters())[name]), name


def test_options_of_this_run_win_over_saved_ones() -> None:
    _, optimizer = build(weight_decay=0.5)
    saved = optimizer.state_dict()
    _, restored = build(weight_decay=0.1, head_lr_multiplier=3.0)
    restored.load_state_dict(saved)
    groups = {group["name"]: group for group in restored.param_groups}
    assert groups["head"]["weight_decay"] == 0.1
    assert groups["head"]["lr"] == pytest.approx(0.03)


def test_a_parameter_without_gradient_stays() -> None:
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = AdamW([used, unused], lr=0.1, weight_decay=0.5)
    used.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(unused, torch.ones(2))
    assert not torch.equal(used, torch.ones(2))


def test_flat_parameters_and_other_groups_are_refused() -> None:
    _, optimizer = build()
    with pytest.raises(UserError, match="--fp16-no-flatten-grads"):
        _ = optimizer.supports_flat_params
    other = TwoTowerAdamW(AdamWConfig(lr=[0.01]), [torch.nn.Parameter(torch.ones(2))])
    with pytest.raises(UserError, match="--reset-optimizer"):
        other.load_state_dict(optimizer.state_dict())


def test_groups_survive_the_float32_copies_of_bfloat16() -> None:
    from fairseq.optim.fp16_optimizer import FP16Optimizer

    model, optimizer = build()
    copies = FP16Optimizer.build_fp32_params(
        None, list(model.bfloat16().parameters()), flatten=False
    )
    names = [group["name"] for group in TwoTowerAdamW(optimizer.cfg, copies).param_groups]
    assert names == [group["name"] for group in optimizer.param_groups]
    assert len(names) == 6
