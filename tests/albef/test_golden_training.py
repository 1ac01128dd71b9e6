"""Sizes, initial values, optimiser groups, and what each checkpoint gives to the next task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mt_fairseq.convert.albef import rules_for
from mt_fairseq.convert.tables import convert
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.positions import resize_positions
from mt_fairseq.optim.adamw import AdamWConfig, TwoTowerAdamW
from tests.albef.golden import Golden, difference
from tests.albef.small import PRETRAINING, WORDS, build

Open = Callable[[str, str], Golden]
BASE = {
    "vision_width": 768, "vision_layers": 12, "vision_heads": 12, "image_res": 256,
    "text_width": 768, "text_heads": 12, "num_hidden_layers": 12, "fusion_layer": 6,
    "vocab_size": 30522, "text_max_positions": 512, "embed_dim": 256,
}  # fmt: skip
TASKS = {
    "pretrain": {"itc": 0, "itm": 2, "mlm": 30522},
    "retrieval": {"itc": 0, "itm": 2},
    "ve_plain": {"snli_ve": 3},
    "nlvr_plain": {"nlvr2": 2},
    "vqa_plain": {"answers": 30522},
    "pretrain_nlvr": {"itc": 0, "pairs": 3},
}


@pytest.mark.parametrize("task", list(TASKS))
def test_sizes_at_base(shared_dir: Path, task: str) -> None:
    counts = json.loads((shared_dir / "golden_albef/param_counts.json").read_text())[task]
    with torch.device("meta"):
        model = build(TASKS[task], {**BASE, "image_res": counts["image_res"]})
    assert sum(p.numel() for p in model.parameters()) == counts["trainable"]


def test_weight_decay(golden: Open, shared_dir: Path) -> None:
    """Biases and norms don't decay; positions, class token, embeddings and temperature do."""
    model = golden("pretrain", "pretrain").model()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    cfg = AdamWConfig(weight_decay=0.02, lr=[1e-4])
    decays = {
        id(parameter): group["weight_decay"] > 0
        for group in TwoTowerAdamW(cfg, trained.values()).param_groups
        for parameter in group["params"]
    }
    groups = json.loads((shared_dir / "golden_albef/optim.json").read_text())["optimizer"]["groups"]
    compared = set()
    for group in groups:
        for name in group["parameters"]:
            for target in convert({name: torch.zeros(3)}, rules()).tensors:
                if target in trained:
                    assert decays[id(trained[target])] == (group["weight_decay"] > 0), name
                    compared.add(target)
    assert len(compared) > 80


def rules() -> list:
    return rules_for({"fusion_layer": 2, "num_hidden_layers": 4}, "pretrain")


def test_positions(shared_dir: Path) -> None:
    tensors = load_file(shared_dir / "golden_albef/position_interpolation.safetensors")
    cases = {name.rsplit(".", 1)[0] for name in tensors}
    for case in cases:
        side = int(case.split("to")[1])
        ours = resize_positions(tensors[f"{case}.input"], (side, side))
        assert difference(ours, tensors[f"{case}.output"]) < 1e-5
    assert len(cases) > 1


# --- from one task to the next ---


def fine_tuned(pretrained: AlbefModel, heads: dict[str, int], twin: bool) -> AlbefModel:
    """A model of a next task that has loaded the pre-trained one."""
    model = build(heads, twin=twin)
    model.load_state_dict(pretrained.state_dict(), strict=True)
    return model


@pytest.fixture(scope="module")
def pretrained() -> AlbefModel:
    """A small model with momentum weights of its own and a queue."""
    torch.manual_seed(0)
    model = build(PRETRAINING, twin=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def check_equal(ours: torch.nn.Module, other: torch.nn.Module) -> None:
    ours_state, other_state = ours.state_dict(), other.state_dict()
    assert ours_state.keys() == other_state.keys()
    for name, value in ours_state.items():
        assert torch.equal(value, other_state[name]), name


def test_retrieval_takes_heads_queues_and_twin(pretrained: AlbefModel) -> None:
    model = fine_tuned(pretrained, {"itc": 0, "itm": 2}, twin=True)
    check_equal(model.network, pretrained.network)
    check_equal(model.twin.network, pretrained.twin.network)
    check_equal(model.heads["itc"], pretrained.heads["itc"])
    check_equal(model.queue, pretrained.queue)
    assert "mlm head" in model.load_report.left_out


def test_answer_decoder_comes_from_the_fusion_layers(pretrained: AlbefModel) -> None:
    model = fine_tuned(pretrained, {"answers": WORDS}, twin=True)
    for side, source in ((model, pretrained), (model.twin, pretrained.twin)):
        decoder = side.heads["answers"]
        check_equal(decoder.layers, source.network.fusion.layers)
        check_equal(decoder.embeddings, source.network.text_encoder.embeddings)
        check_equal(decoder.head, source.heads["mlm"])
    assert model.queue is None and not model.load_report.new


@pytest.mark.parametrize("head", ["nlvr2", "pairs"])
def test_layers_are_doubled_for_pairs(pretrained: AlbefModel, head: str) -> None:
    model = fine_tuned(pretrained, {head: 2}, twin=head == "nlvr2")
    for layer, partner in zip(
        pretrained.network.fusion.layers, model.network.fusion.partners, strict=True
    ):
        own = partner.state_dict()
        assert all(torch.equal(value, layer.state_dict()[name]) for name, value in own.items())
    assert model.load_report.fresh_heads == [head]


def test_teacher_starts_from_the_checkpoint(pretrained: AlbefModel) -> None:
    """A checkpoint without momentum model gives its own weights, or none in the official way."""
    student = build({"itc": 0, "pairs": 3})
    model = build({"nlvr2": 2}, twin=True)
    stale = build({"nlvr2": 2}, twin=True, stale_teacher=True)
    before = {name: value.clone() for name, value in stale.twin.state_dict().items()}
    for loading in (model, stale):
        loading.load_state_dict(student.state_dict(), strict=True)
    check_equal(model.twin.network, student.network)
    after = stale.twin.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_no_distillation_leaves_the_teacher_out(pretrained: AlbefModel) -> None:
    model = fine_tuned(pretrained, {"snli_ve": 3}, twin=False)
    check_equal(model.network, pretrained.network)
    assert model.twin is None and "momentum model" in model.load_report.left_out
