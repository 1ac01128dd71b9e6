"""Every architecture is the same model under --arch and under Hydra, with the papers' sizes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from fairseq import models, options
from fairseq.dataclass.configs import FairseqConfig
from fairseq.dataclass.initialize import add_defaults
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models import MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
from omegaconf import DictConfig, OmegaConf

import mt_fairseq.plugin  # noqa: F401
from mt_fairseq.models.two_tower.config import TwoTowerConfig
from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.models.stand_in import StandInTask

ARCHITECTURES = [
    name for name, kind in MODEL_DATACLASS_REGISTRY.items() if issubclass(kind, TwoTowerConfig)
]
ROBERTA_VOCABULARY = 50265


def from_command_line(name: str, *arguments: str) -> DictConfig:
    """The model's options as fairseq-train reads them."""
    parser = options.get_training_parser()
    line = ["data", "--task", "vqa", "--criterion", "vqa", "--arch", name, *arguments]
    args = options.parse_args_and_arch(parser, line)
    return convert_namespace_to_omegaconf(args).model


def from_hydra(name: str, **overrides: object) -> DictConfig:
    """The model's options as fairseq-hydra-train reads them."""
    cfg = OmegaConf.structured(FairseqConfig())
    OmegaConf.set_struct(cfg, False)
    cfg.model = {"_name": name, **overrides}
    add_defaults(cfg)
    return cfg.model


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_alike_under_arch_and_hydra(name: str) -> None:
    line = OmegaConf.to_container(from_command_line(name), enum_to_str=True)
    hydra = OmegaConf.to_container(from_hydra(name), enum_to_str=True)
    assert {k: v for k, v in line.items() if k in hydra} == hydra


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_options_are_documented_and_off_by_default(name: str) -> None:
    kind = MODEL_DATACLASS_REGISTRY[name]
    instance = kind()
    for field in dataclasses.fields(kind):
        if field.name.startswith("_"):
            continue
        assert instance._get_help(field.name), field.name
        assert getattr(instance, field.name) is not True, field.name


def test_tiny_builds_alike() -> None:
    arguments = ("--hidden-size", "32", "--manager-type", "saue")
    line = from_command_line("managertower_tiny", *arguments)
    hydra = from_hydra("managertower_tiny", hidden_size=32, manager_type="saue")
    states = []
    for cfg in (line, hydra):
        torch.manual_seed(1)
        states.append(models.build_model(cfg, StandInTask(image_size=(32, 32))).state_dict())
        assert json.loads(cfg.vision_config)["hidden_size"] == 128  # kept for the checkpoint
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_builds_alike(name: str) -> None:
    """Same parameters of the same shapes; on the meta device, so the large ones too."""
    task = StandInTask(image_size=(672, 672), vocabulary=ROBERTA_VOCABULARY)
    line = from_command_line(name, "--encoder-weights", "random")
    hydra = from_hydra(name, encoder_weights="random")
    shapes = []
    for cfg in (line, hydra):
        with torch.device("meta"):
            model = models.build_model(cfg, task)
        assert type(model) is MODEL_REGISTRY[name]
        shapes.append({key: value.shape for key, value in model.state_dict().items()})
    assert shapes[0] == shapes[1]


def build_without_memory(name: str, side: int, **overrides: object) -> TwoTowerModel:
    """An architecture without heads on the meta device, for images of ``side`` pixels."""
    cfg = from_hydra(name, encoder_weights="random", **overrides)
    task = StandInTask(image_size=(side, side), heads={}, vocabulary=ROBERTA_VOCABULARY)
    with torch.device("meta"):
        return models.build_model(cfg, task)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


COUNTED = {
    "METER": ("meter_base", {}),
    "METER_fusion": ("meter_base", {"layer_fusion": True}),
    "BT": ("bridgetower_base", {}),
    "MT-AAUE": ("managertower_base", {}),
    "MT-SAUE": ("managertower_base", {"manager_type": "saue"}),
}


@pytest.mark.parametrize("row", COUNTED)
def test_parameter_counts(shared_dir: Path, row: str) -> None:
    path = shared_dir / "golden" / "param_counts.json"
    reference = json.loads(path.read_text())["models"][row]
    unused = sum(n for part, n in reference["parts"].items() if "(never used)" in part)
    unused += reference["parts"]["temperature"]  # lives in the contrastive head here
    if reference["parts"]["managers"]:
        unused += 2 * 6  # softmax_temperature_cross: one scalar a manager
    name, overrides = COUNTED[row]
    model = build_without_memory(name, 384, **overrides)
    assert count(model) == reference["parameters_without_task_heads"] - unused


def test_large_has_the_sizes_of_the_talk() -> None:
    """355M, 304M and 200M for text, vision and cross-modal layers (BridgeTower's talk)."""
    network = build_without_memory("managertower_large", 294).network
    pooler = 1024 * 1024 + 1024  # counted there, left out here
    assert round((count(network.text_encoder) + pooler) / 1e6) == 355
    assert round(count(network.vision_encoder) / 1e6) in (303, 304)
    assert round(count(network.cross_modal.layers) / 1e6) in (200, 201, 202)
