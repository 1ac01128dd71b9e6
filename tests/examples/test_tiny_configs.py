"""The tiny configurations are what the demonstration trains."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from examples.demo.commands import Places, Settings, pretraining_stage
from examples.demo.demo import LabelDemo
from examples.demo.raw import RawFolders
from examples.demo.run import DEMOS
from examples.demo.stages import Stage
from mt_fairseq.plan.recipe import read_recipe
from tests.support import ROOT

TASKS = ["pretraining", *DEMOS]
TINY = [t for t in TASKS if (ROOT / f"examples/{t}/config/managertower_tiny.yaml").is_file()]


def training(name: str, folder: Path) -> Stage:
    """The demonstration's command."""
    settings, places = Settings(), Places(folder)
    if name == "pretraining":
        return pretraining_stage(places, settings)
    demo = DEMOS[name](places, settings, RawFolders(folder, folder, folder))
    assert isinstance(demo, LabelDemo)
    return demo.finetuning()


@pytest.mark.parametrize("name", TINY)
def test_tiny_configurations_are_the_demonstration(name: str, tmp_path: Path) -> None:
    cfg = read_recipe(f"{name}/managertower_tiny", ["task.data=x"]).cfg
    command = training(name, tmp_path).command
    said = dict(pairwise(command))
    groups = {
        "--image-size": cfg.task,
        "--max-text-len": cfg.task,
        "--mask-prob": cfg.task,
        "--itm-negatives": cfg.task,
        "--train-transform": cfg.task,
        "--dropout": cfg.model,
        "--manager-noise": cfg.model,
        "--head-lr-multiplier": cfg.optimizer,
        "--warmup-ratio": cfg.lr_scheduler,
        "--clip-norm": cfg.optimization,
        "--max-update": cfg.optimization,
        "--batch-size": cfg.dataset,
        "--seed": cfg.common,
    }
    assert (said["--arch"], said["--task"]) == (cfg.model._name, cfg.task._name)
    assert float(said["--lr"]) == cfg.optimization.lr[0]
    assert ("--itc" in command) == cfg.task.get("itc", False)
    for option, group in groups.items():
        if option in said:
            value = group[option[2:].replace("-", "_")]
            assert (said[option] if isinstance(value, str) else float(said[option])) == value
