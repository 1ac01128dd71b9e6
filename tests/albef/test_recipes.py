"""ALBEF's Hydra configurations hold what its paper (section 3.5) and its released scripts say."""

from __future__ import annotations

from typing import Any

import pytest
from fairseq.dataclass.utils import merge_with_parent
from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.optim import OPTIMIZER_DATACLASS_REGISTRY, FairseqOptimizer
from fairseq.optim.lr_scheduler import LR_SCHEDULER_DATACLASS_REGISTRY
from fairseq.optim.lr_scheduler.cosine_lr_scheduler import CosineLRSchedule
from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY
from omegaconf import DictConfig

from mt_fairseq.models.albef.config import check_queue
from mt_fairseq.plan.recipe import read_recipe
from tests.support import ROOT

REGISTRIES = {
    "model": MODEL_DATACLASS_REGISTRY,
    "task": TASK_DATACLASS_REGISTRY,
    "optimizer": OPTIMIZER_DATACLASS_REGISTRY,
    "lr_scheduler": LR_SCHEDULER_DATACLASS_REGISTRY,
}
FOLDER = ROOT / "examples/albef/config"
# name: epochs, batch, highest and lowest rate, warm-up, pixels, criterion, task, pairs of one epoch
EXPECTED: dict[str, tuple[Any, ...]] = {
    "pretraining_4m": (30, 512, 1e-4, 1e-5, 1000, 256, "albef_pretrain", 5_146_000),
    "pretraining_14m": (30, 512, 1e-4, 1e-5, 1000, 256, "albef_pretrain", 15_206_000),
    "retrieval_flickr30k": (10, 256, 1e-5, 1e-6, 0, 384, "albef_retrieval", 145_000),
    "retrieval_coco": (5, 256, 1e-5, 1e-6, 0, 384, "albef_retrieval", 566_747),
    "grounding": (5, 256, 1e-5, 1e-6, 0, 384, "albef_retrieval", 120_191),
    "snli_ve": (5, 256, 2e-5, 1e-6, 100, 384, "albef_classification", 529_527),
    "nlvr2_pairs": (1, 512, 2e-5, 1e-5, 100, 256, "albef_pairs", 5_146_000),
    "nlvr2": (10, 128, 2e-5, 1e-6, 100, 384, "albef_classification", 86_373),
    "vqa": (8, 256, 2e-5, 1e-6, 400, 384, "albef_vqa", 443_757 + 214_354),
}


def recipe(name: str) -> DictConfig:
    return read_recipe(f"albef/{name}", ["task.data=x"]).cfg


def group(cfg: DictConfig, name: str) -> DictConfig:
    """What a file says of a group, and the defaults of the rest."""
    return merge_with_parent(REGISTRIES[name][cfg[name]._name](), cfg[name])


def test_every_recipe_is_checked() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_recipe_holds_the_settings(name: str) -> None:
    cfg = recipe(name)
    model, task = group(cfg, "model"), group(cfg, "task")
    schedule, optimizer = group(cfg, "lr_scheduler"), group(cfg, "optimizer")
    batch = cfg.distributed_training.distributed_world_size * cfg.dataset.batch_size
    epochs, *rest, pairs = EXPECTED[name]
    rates = cfg.optimization.lr[0], schedule.min_lr, schedule.warmup_updates
    found = [cfg.optimization.max_epoch, batch, *rates, int(task.image_size), cfg.criterion._name]
    assert found == [epochs, *rest]
    assert cfg.optimization.max_update == epochs * -(-pairs // batch)
    assert (schedule._name, optimizer._name) == ("cosine", "adamw")
    assert (optimizer.adam_beta1, optimizer.adam_beta2) == (0.9, 0.999)
    assert (optimizer.adam_eps, optimizer.weight_decay) == (1e-8, 0.02)
    assert optimizer.head_lr_multiplier == optimizer.cross_modal_lr_multiplier == 1
    assert cfg.optimization.clip_norm == 0
    assert (model.vision_encoder, model.text_encoder, model.fusion_layer) == (
        "facebook/deit-base-patch16-224", "bert-base-uncased", 6,
    )  # fmt: skip
    assert (model.distill_alpha, model.momentum, model.queue_size) == (0.4, 0.995, 65536)
    assert model.constant_alpha == (name == "snli_ve")
    assert task.flip == (name != "grounding") and not task.color_ops
    assert TASK_REGISTRY[cfg.task._name].name == cfg.task._name


@pytest.mark.parametrize("name", ["pretraining_4m", "retrieval_coco", "grounding"])
def test_queue_holds_whole_batches(name: str) -> None:
    cfg = recipe(name)
    model = group(cfg, "model")
    model.batch_size = cfg.dataset.batch_size
    model.world_size = cfg.distributed_training.distributed_world_size
    check_queue(model)


def test_each_starts_where_another_ends() -> None:
    made = {recipe(name).checkpoint.save_dir for name in EXPECTED}
    for name in EXPECTED:
        start = recipe(name).checkpoint.finetune_from_model
        assert (start is None) == name.startswith("pretraining")
        assert start is None or start.removesuffix("/checkpoint_last.pt") in made


class Rates(FairseqOptimizer):
    """What a scheduler asks of an optimizer."""

    def set_lr(self, lr: float) -> None:
        self.lr = lr

    def get_lr(self) -> float:
        return self.lr


def test_the_rate_rises_and_falls_as_the_paper_says() -> None:
    """1e-5 to 1e-4 in 1,000 iterations, then a cosine down to 1e-5 at the end."""
    cfg = recipe("pretraining_14m")
    settings = group(cfg, "lr_scheduler")
    settings.lr, settings.max_update = cfg.optimization.lr, cfg.optimization.max_update
    schedule = CosineLRSchedule(settings, Rates(None))
    end = cfg.optimization.max_update
    assert schedule.step_update(0) == pytest.approx(1e-5)
    assert schedule.step_update(500) == pytest.approx(5.5e-5)
    assert schedule.step_update(1000) == pytest.approx(1e-4)
    assert schedule.step_update((end + 1000) // 2) == pytest.approx(5.5e-5, rel=1e-3)
    assert schedule.step_update(end - 1) == pytest.approx(1e-5, rel=1e-3)
