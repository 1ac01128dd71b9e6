"""Every Hydra configuration composes with known options and holds its table's values."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
from fairseq.dataclass.initialize import hydra_init
from fairseq.dataclass.utils import merge_with_parent
from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.optim import OPTIMIZER_DATACLASS_REGISTRY
from fairseq.optim.lr_scheduler import LR_SCHEDULER_DATACLASS_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

import mt_fairseq.plugin  # noqa: F401
from examples.demo.commands import Places, Settings, pretraining_stage, vqa_stage
from tests.support import ROOT

CONFIGS = sorted(ROOT.glob("examples/*/config/*.yaml"))
REGISTRIES = {
    "task": TASK_DATACLASS_REGISTRY,
    "model": MODEL_DATACLASS_REGISTRY,
    "criterion": CRITERION_DATACLASS_REGISTRY,
    "optimizer": OPTIMIZER_DATACLASS_REGISTRY,
    "lr_scheduler": LR_SCHEDULER_DATACLASS_REGISTRY,
}


def read(path: Path, *overrides: str) -> DictConfig:
    """The configuration as fairseq-hydra-train sees it."""
    hydra_init()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(path.parent), version_base="1.1"):
        return compose(path.stem, overrides=list(overrides))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: "/".join(path.parts[-3:]))
def test_configuration_has_known_keys_only(path: Path) -> None:
    cfg = read(path, "task.data=data-bin/x")
    for group, registry in REGISTRIES.items():
        chosen = cfg[group]
        merge_with_parent(registry[chosen._name](), chosen, remove_missing=False)
    assert cfg.common.user_dir == "user_dir"
    assert cfg.dataset.required_batch_size_multiple == 1  # else fairseq rounds 12 down to 8


def test_pretraining_holds_table_8() -> None:
    cfg = read(ROOT / "examples/pretraining/config/managertower_base.yaml")
    gpus = 8
    assert gpus * cfg.dataset.batch_size * cfg.optimization.update_freq[0] == 4096
    assert cfg.optimization.max_update == 100_000
    assert cfg.lr_scheduler.warmup_updates == 10_000
    assert cfg.optimization.lr == [1e-5]
    assert cfg.optimizer.weight_decay == 0.01
    assert (cfg.optimizer.adam_beta1, cfg.optimizer.adam_beta2) == (0.9, 0.98)
    assert cfg.optimizer.adam_eps == 1e-8
    assert cfg.optimizer.cross_modal_lr_multiplier == 5
    assert cfg.task.image_size == "288"
    assert cfg.task.max_text_len == 50
    assert cfg.task.itm_negatives == "dataset"
    model = MODEL_DATACLASS_REGISTRY[cfg.model._name]()
    assert model.num_cross_modal_layers == 6
    assert (model.hidden_size, model.cross_modal_heads) == (768, 12)
    assert (model.dropout, model.attention_dropout) == (0.1, 0.1)


def test_vqa_holds_table_9() -> None:
    cfg = read(ROOT / "examples/vqa/config/managertower_base.yaml")
    gpus = 8
    assert gpus * cfg.dataset.batch_size * cfg.optimization.update_freq[0] == 576
    assert cfg.optimization.max_epoch == 10
    assert cfg.optimization.max_update == 10 * -(-443_757 // 576)
    assert cfg.lr_scheduler.warmup_ratio == 0.06
    assert cfg.optimization.lr == [9e-6]
    assert cfg.optimizer.weight_decay == 0.06
    assert cfg.optimizer.head_lr_multiplier == 50
    assert cfg.optimizer.cross_modal_lr_multiplier == 5
    assert cfg.model.head_hidden_scale == 2
    assert cfg.task.image_size == "576"


@pytest.mark.parametrize("name", ["pretraining", "vqa"])
def test_tiny_configurations_are_the_demonstration(name: str, tmp_path: Path) -> None:
    settings, places = Settings(), Places(tmp_path)
    stage = (
        pretraining_stage(places, settings)
        if name == "pretraining"
        else vqa_stage(places, settings, pretrained=True)
    )
    cfg = read(ROOT / f"examples/{name}/config/managertower_tiny.yaml", "task.data=x")
    said = dict(pairwise(stage.command))
    for option, value in {
        "--arch": cfg.model._name,
        "--image-size": cfg.task.image_size,
        "--max-text-len": cfg.task.max_text_len,
        "--dropout": cfg.model.dropout,
        "--manager-noise": cfg.model.manager_noise,
        "--lr": cfg.optimization.lr[0],
        "--clip-norm": cfg.optimization.clip_norm,
        "--warmup-ratio": cfg.lr_scheduler.warmup_ratio,
        "--batch-size": cfg.dataset.batch_size,
        "--max-update": cfg.optimization.max_update,
        "--seed": cfg.common.seed,
        **({"--head-lr-multiplier": cfg.optimizer.head_lr_multiplier} if name == "vqa" else {}),
        **({"--mask-prob": cfg.task.mask_prob} if name == "pretraining" else {}),
        **({"--train-transform": cfg.task.train_transform} if name == "vqa" else {}),
    }.items():
        as_said = said[option] if isinstance(value, str) else float(said[option])
        assert as_said == value, option


@pytest.mark.parametrize("group", REGISTRIES)
def test_unknown_key_is_an_error(group: str) -> None:
    cfg = read(CONFIGS[0], f"+{group}.nonsense=1", "task.data=data-bin/x")
    with pytest.raises(Exception, match="nonsense"):
        merge_with_parent(REGISTRIES[group][cfg[group]._name](), cfg[group], remove_missing=False)
