"""``--store-ema`` by fairseq-train: every family, half precision, resuming, fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import TINY
from tests.tasks.rank import run

DECAY = 0.6
COMMON = [
    "--batch-size", 4, "--required-batch-size-multiple", 1, "--no-epoch-checkpoints",
    "--disable-validation", "--num-workers", 0, "--save-interval-updates", 1, "--log-format",
    "json", "--log-interval", 1,
]  # fmt: skip
PRETRAIN = [*TINY, "--task", "vlp_mlm_itm", "--criterion", "mlm_itm", "--lr-scheduler", "fixed"]
VQA = [*TINY, "--task", "vqa", "--criterion", "vqa", "--lr-scheduler", "fixed"]
ALBEF = [
    "--task", "albef_pretrain", "--criterion", "albef_pretrain", "--arch", "albef_tiny",
    "--vision-width", 32, "--vision-layers", 1, "--text-width", 32, "--text-layers", 2,
    "--fusion-layer", 1, "--embed-dim", 8, "--image-size", 32, "--max-text-len", 12,
    "--queue-size", 12, "--optimizer", "adamw", "--lr", 0.001, "--lr-scheduler", "fixed",
]  # fmt: skip
EMA = ["--store-ema", "--ema-decay", DECAY]
RUNS = {
    "meter": [*PRETRAIN, *EMA, "--arch", "meter_tiny"],
    "bridgetower": [*PRETRAIN, *EMA, "--arch", "bridgetower_tiny"],
    "managertower": [*PRETRAIN, *EMA],
    "albef": [*ALBEF, *EMA],
    "bf16": [*PRETRAIN, *EMA, "--bf16", "--ema-fp32"],
    "every second update": [*PRETRAIN, *EMA, "--ema-update-freq", 2],
    "from update 3": [*PRETRAIN, *EMA, "--ema-start-update", 3],
}
RESUMED = ("albef", "bf16", "every second update")
"""Runs that were also stopped after 3 of their 4 updates, of an epoch of 5, and resumed."""


@pytest.fixture(scope="module")
def folder(caption_bin: Path, vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs, made in one process."""
    folder = tmp_path_factory.mktemp("ema")

    def training(name: str, updates: int, *options: object) -> list[object]:
        data = vqa_bin if "vqa" in options else caption_bin
        where = ["--save-dir", folder / name, "--max-update", updates]
        return ["train", data, *COMMON, *where, *options]

    commands = {name: training(name, 4, *options) for name, options in RUNS.items()}
    for name in RESUMED:
        commands[f"{name}, stopped"] = training(f"{name}, resumed", 3, *RUNS[name])
        commands[f"{name}, resumed"] = training(f"{name}, resumed", 4, *RUNS[name])
    start = ["--finetune-from-model", folder / "managertower" / "checkpoint_last.pt"]
    commands["fine-tuned"] = training("fine-tuned", 2, *VQA, *EMA, *start)
    commands["without"] = training("begun late", 2, *VQA)
    commands["begun late"] = training("begun late", 4, *VQA, *EMA)
    outputs = run(folder, commands)
    assert "the average of weights starts from those of" in outputs["fine-tuned"]
    assert "the average of weights starts from those of" in outputs["begun late"]
    return folder


def load(folder: Path, update: int | None = None) -> dict[str, Any]:
    name = "checkpoint_last.pt" if update is None else f"checkpoint_1_{update}.pt"
    return torch.load(folder / name, weights_only=True)


def average(state: dict[str, Any]) -> dict[str, Tensor]:
    return state["extra_state"]["ema"]


def is_trained(name: str, value: Tensor) -> bool:
    return value.is_floating_point() and not name.startswith(("twin.", "queue."))


def check_step(before: dict[str, Tensor], state: dict[str, Any], decay: float) -> None:
    """One step of the average from ``before``; what is not trained is the model's own."""
    moved = 0
    for name, value in state["model"].items():
        own = average(state)[name]
        assert own.dtype == value.dtype
        if not is_trained(name, value):
            assert torch.equal(own, value), name
            continue
        wanted = decay * before[name].double() + (1 - decay) * value.double()
        assert torch.allclose(own.double(), wanted, rtol=1e-6, atol=1e-7), name
        moved += not torch.equal(own, before[name])
    assert moved > 50


@pytest.mark.parametrize("name", ["meter", "bridgetower", "managertower", "albef", "bf16"])
def test_average_of_every_family(folder: Path, name: str) -> None:
    for update in (2, 3, 4):
        check_step(average(load(folder / name, update - 1)), load(folder / name, update), DECAY)


def test_first_update_and_frequency(folder: Path) -> None:
    for update in (1, 2):
        state = load(folder / "from update 3", update)
        assert all(torch.equal(average(state)[n], v) for n, v in state["model"].items())
    states = [load(folder / "every second update", update) for update in (1, 2, 3, 4)]
    check_step(average(states[0]), states[1], DECAY)
    assert all(torch.equal(v, average(states[1])[n]) for n, v in average(states[2]).items())
    check_step(average(states[2]), states[3], DECAY)


@pytest.mark.parametrize("name", ["albef", "every second update"])
def test_resumed_equals_uninterrupted(folder: Path, name: str) -> None:
    whole, resumed = load(folder / name), load(folder / f"{name}, resumed")
    assert average(whole).keys() == average(resumed).keys() == whole["model"].keys()
    for kind in (average, lambda state: state["model"]):
        for key, value in kind(whole).items():
            assert torch.equal(value, kind(resumed)[key]), key


def test_half_precision_resumes_its_average(folder: Path) -> None:
    """The weights themselves are rounded by a resume: fairseq saves no float32 copy of them."""
    resumed = folder / "bf16, resumed"
    check_step(average(load(resumed, 3)), load(resumed, 4), DECAY)
    coarse = [v for v in average(load(resumed)).values() if v.is_floating_point()]
    assert any(not torch.equal(v, v.bfloat16().float()) for v in coarse)


def test_fine_tuning_starts_an_average_of_its_own(folder: Path) -> None:
    """From the weights that were loaded, not from the average of another training."""
    start = load(folder / "managertower")
    state = load(folder / "fine-tuned", 1)
    loaded = {n: v for n, v in start["model"].items() if not n.startswith("heads.")}
    shared = {n: v for n, v in state["model"].items() if n in loaded}
    check_step(loaded, {"model": shared, "extra_state": state["extra_state"]}, DECAY)


def test_a_run_without_an_average_takes_one_up(folder: Path) -> None:
    without = load(folder / "begun late", 2)
    assert "ema" not in without["extra_state"]
    check_step(without["model"], load(folder / "begun late", 3), DECAY)
