"""Every Hydra configuration composes with known options and holds its table's values.

Numbers stand here as the papers print them. ManagerTower: Table 8 (pre-training), Table 9
(fine-tuning), section 4.1 (without pre-training), appendix A; BridgeTower: the talk's table of
pre-training settings; what neither has: the released scripts of both.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

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
from tests.support import ROOT

CONFIGS = sorted(ROOT.glob("examples/*/config/*.yaml"))
REGISTRIES = {
    "task": TASK_DATACLASS_REGISTRY,
    "model": MODEL_DATACLASS_REGISTRY,
    "criterion": CRITERION_DATACLASS_REGISTRY,
    "optimizer": OPTIMIZER_DATACLASS_REGISTRY,
    "lr_scheduler": LR_SCHEDULER_DATACLASS_REGISTRY,
}
QUESTIONS = 443_757 + 214_354  # VQA v2, train and val
PAIRS = {"snli_ve": 529_527, "nlvr2": 86_373, "flickr30k": 145_000, "coco": 566_747}


@cache
def read(path: Path, *overrides: str) -> DictConfig:
    """As fairseq-hydra-train sees it, fairseq's own groups with their defaults included."""
    hydra_init(path.stem)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(path.parent), version_base="1.1"):
        return compose(path.stem, overrides=list(overrides))


def recipe(name: str) -> DictConfig:
    folder, _, config = name.partition("/")
    return read(ROOT / f"examples/{folder}/config/{config or 'managertower_base'}.yaml")


def settings_of(cfg: DictConfig) -> dict[str, Any]:
    """The values of a table's column; the learning rates in units of the base rate."""
    world = cfg.distributed_training.distributed_world_size
    task = merge_with_parent(TASK_DATACLASS_REGISTRY[cfg.task._name](), cfg.task)
    model = merge_with_parent(MODEL_DATACLASS_REGISTRY[cfg.model._name](), cfg.model)
    optimizer, schedule = cfg.optimizer, cfg.lr_scheduler
    return {
        "epochs": cfg.optimization.max_epoch,
        "updates": cfg.optimization.max_update,
        "batch": world * cfg.dataset.batch_size * cfg.optimization.update_freq[0],
        "optimizer": optimizer._name,
        "rate": cfg.optimization.lr[0],
        "schedule": schedule._name,
        "decay": optimizer.weight_decay,
        "warmup": schedule.get("warmup_ratio") or schedule.get("warmup_updates"),
        "epsilon": optimizer.adam_eps,
        "betas": (optimizer.adam_beta1, optimizer.adam_beta2),
        "clip": cfg.optimization.clip_norm,
        "transform": task.train_transform,
        "flip": task.flip,
        "colours": task.color_ops,
        "text encoder": model.text_encoder,
        "vision encoder": model.vision_encoder,
        "pixels": task.image_size,
        "text length": task.max_text_len,
        "criterion": cfg.criterion._name,
        "cross-modal": optimizer.cross_modal_lr_multiplier,
        "head": optimizer.head_lr_multiplier,
        "head scale": model.head_hidden_scale,
        "layers": model.num_cross_modal_layers,
        "hidden": model.hidden_size,
        "inner": model.cross_modal_inner or 4 * model.hidden_size,
        "heads": model.cross_modal_heads,
        "dropout": (model.dropout, model.attention_dropout),
    }


BASE = {
    "text encoder": "roberta-base",
    "vision encoder": "openai/clip-vit-base-patch16",
    "layers": 6,
    "hidden": 768,
    "inner": 3072,
    "heads": 12,
}
LARGE = {
    "text encoder": "roberta-large",
    "vision encoder": "openai/clip-vit-large-patch14",
    "layers": 6,
    "hidden": 1024,
    "inner": 4096,
    "heads": 16,
}
ALWAYS = {
    "optimizer": "adamw",
    "schedule": "linear",
    "epsilon": 1e-8,
    "betas": (0.9, 0.98),
    "clip": 0,
    "dropout": (0.1, 0.1),
    "cross-modal": 5,  # appendix A.1
    "text length": 50,  # section 4.1
}
TABLE_8 = {
    **ALWAYS, **BASE, "epochs": 0, "updates": 100_000, "batch": 4096, "rate": 1e-5, "decay": 0.01,
    "warmup": 10_000, "transform": "center_crop", "flip": False, "colours": False, "pixels": "288",
    "criterion": "mlm_itm", "head": 5, "head scale": 1,
}  # fmt: skip
AUGMENTED = {**ALWAYS, **BASE, "transform": "augment", "flip": True, "colours": True}
VQA = {**AUGMENTED, "flip": False, "colours": False, "epochs": 10, "criterion": "vqa", "head": 50}
RETRIEVAL = {
    **AUGMENTED, "decay": 0.01, "warmup": 0.1, "pixels": "384", "text length": 40,
    "criterion": "itc_itm", "head": 5, "head scale": 1,
}  # fmt: skip
EXPECTED: dict[str, dict[str, Any]] = {
    "pretraining": TABLE_8,
    # the talk's table of pre-training settings
    "pretraining/bridgetower_large": {**TABLE_8, **LARGE, "pixels": "294"},
    # Table 9, one column each
    "vqa": {
        **VQA, "batch": 576, "updates": 10 * -(-QUESTIONS // 576), "rate": 9e-6, "decay": 0.06,
        "warmup": 0.06, "pixels": "576", "head scale": 2,
    },
    "snli_ve": {
        **AUGMENTED, "epochs": 4, "batch": 64, "updates": 4 * -(-PAIRS["snli_ve"] // 64),
        "rate": 3e-6, "decay": 0.01, "warmup": 0.06, "pixels": "384",
        "criterion": "classification", "head": 10, "head scale": 2,
    },
    "nlvr2": {
        **AUGMENTED, "epochs": 5, "batch": 256, "updates": 5 * -(-PAIRS["nlvr2"] // 256),
        "rate": 1.4e-5, "decay": 0.01, "warmup": 0.1, "pixels": "384",
        "criterion": "classification", "head": 10, "head scale": 1,
    },
    "flickr30k": {
        **RETRIEVAL, "epochs": 20, "batch": 512, "updates": 20 * -(-PAIRS["flickr30k"] // 512),
        "rate": 6e-6,
    },
    # BridgeTower's released scripts: ftfpt_base_irtr_itm_itc_coco, ftfpt_large_vqa
    "coco": {
        **RETRIEVAL, "epochs": 30, "batch": 256, "updates": 30 * -(-PAIRS["coco"] // 256),
        "rate": 4.5e-6,
    },
    "vqa/bridgetower_large": {
        **VQA, **LARGE, "batch": 512, "updates": 10 * -(-QUESTIONS // 512), "rate": 4e-6,
        "decay": 0.05, "warmup": 0.06, "pixels": "574", "head scale": 2,
    },
    # section 4.1; ManagerTower's released script ftfs-base-vqa
    "no_pretraining/vqa": {
        **VQA, "batch": 512, "updates": 10 * -(-QUESTIONS // 512), "rate": 2e-5, "decay": 0.01,
        "warmup": 0.1, "pixels": "576", "head scale": 1,
    },
    "no_pretraining/flickr30k": {
        **RETRIEVAL, "epochs": 10, "batch": 512, "updates": 10 * -(-PAIRS["flickr30k"] // 512),
        "rate": 2e-5,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_recipe_holds_its_table(name: str) -> None:
    found, expected = settings_of(recipe(name)), EXPECTED[name]
    assert found.keys() == expected.keys()
    assert {key: found[key] for key in expected if found[key] != expected[key]} == {}


def test_every_recipe_is_checked() -> None:
    """Tiny ones are the demonstrations'; ALBEF's have a test of their own."""
    own = {
        f"{path.parts[-3]}/{path.stem}"
        for path in CONFIGS
        if "tiny" not in path.stem and "albef" not in str(path.relative_to(ROOT))
    }
    checked = {name if "/" in name else f"{name}/managertower_base" for name in EXPECTED}
    assert own == checked


def test_pretraining_draws_pictures_from_the_whole_split() -> None:
    for name in ("pretraining", "pretraining/bridgetower_large"):
        task = recipe(name).task
        assert (task.mask_prob, task.itm_negatives) == (0.15, "dataset")  # appendix A.1


@pytest.mark.parametrize("name", ["vqa", "vqa/bridgetower_large", "no_pretraining/vqa"])
def test_vqa_trains_on_train_and_val(name: str) -> None:
    """Appendix A.2; nothing is held out, so nothing can be chosen by it."""
    cfg = recipe(name)
    assert cfg.task.train_splits == "train,valid"
    assert cfg.dataset.disable_validation


@pytest.mark.parametrize("name", ["snli_ve", "nlvr2"])
def test_the_best_on_dev_is_kept(name: str) -> None:
    checkpoint = recipe(name).checkpoint
    assert checkpoint.best_checkpoint_metric == "accuracy"
    assert checkpoint.maximize_best_checkpoint_metric


@pytest.mark.parametrize(
    ("name", "topk"), [("flickr30k", 128), ("coco", 256), ("no_pretraining/flickr30k", 128)]
)
def test_retrieval(name: str, topk: int) -> None:
    task = recipe(name).task
    assert task.global_negatives
    assert task.retrieval_topk == topk


def test_nlvr2_drops_nothing_before_its_head() -> None:
    assert recipe("nlvr2").model.nlvr2_dropout == 0  # released script ftfpt-base-nlvr2


@pytest.mark.parametrize("name", EXPECTED)
def test_what_each_starts_from(name: str) -> None:
    """Fine-tuning from a checkpoint; without pre-training only the encoders have weights."""
    cfg = recipe(name)
    model = merge_with_parent(MODEL_DATACLASS_REGISTRY[cfg.model._name](), cfg.model)
    assert str(model.encoder_weights) == "pretrained"
    size = "_large" if "large" in name else ""
    start = f"checkpoints/pretraining{size}/checkpoint_last.pt"
    alone = name.split("/")[0] in ("pretraining", "no_pretraining")
    assert cfg.checkpoint.finetune_from_model == (None if alone else start)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: "/".join(path.parts[-3:]))
def test_only_the_data_is_left_open(path: Path) -> None:
    """Hydra drops ??? from fairseq's own groups in silence, and takes the default instead."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.strip() for line in lines if "???" in line] == ["data: ???"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: "/".join(path.parts[-3:]))
def test_configuration_has_known_keys_only(path: Path) -> None:
    cfg = read(path)
    for group, registry in REGISTRIES.items():
        chosen = cfg[group]
        merge_with_parent(registry[chosen._name](), chosen, remove_missing=False)
    assert cfg.common.user_dir == "user_dir"
    assert cfg.dataset.required_batch_size_multiple == 1  # else fairseq rounds 12 down to 8


@pytest.mark.parametrize("group", REGISTRIES)
def test_unknown_key_is_an_error(group: str) -> None:
    cfg = read(CONFIGS[0], *(f"+{each}.nonsense=1" for each in REGISTRIES))
    with pytest.raises(Exception, match="nonsense"):
        merge_with_parent(REGISTRIES[group][cfg[group]._name](), cfg[group], remove_missing=False)
