"""Pre-training by fairseq's command: resuming, two processes, ablations, loading, errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests import support
from tests.support import logged
from tests.tasks.rank import run

OPTIONS = [
    "--task", "albef_pretrain", "--criterion", "albef_pretrain", "--arch", "albef_tiny",
    "--vision-width", 32, "--vision-layers", 1, "--text-width", 32, "--text-layers", 2,
    "--fusion-layer", 1, "--embed-dim", 8, "--image-size", 32, "--max-text-len", 12,
    "--optimizer", "adamw", "--lr", 0.001, "--lr-scheduler", "fixed", "--num-workers", 0,
    "--required-batch-size-multiple", 1, "--no-epoch-checkpoints", "--disable-validation",
    "--log-format", "json", "--log-interval", 1,
]  # fmt: skip
WHOLE = ["--batch-size", 4, "--queue-size", 12, "--update-freq", 2, "--mask-prob", 0.4]
ABLATIONS = {
    "mlm,itm": ["--objectives", "mlm,itm", "--distill-alpha", 0],
    "+ itc": ["--random-negatives", "--distill-alpha", 0],
    "+ hard negatives": ["--distill-alpha", 0],
    "+ distilled itc": ["--distilled", "itc"],
    "all": [],
}


def training(data: Path, folder: Path, *options: object) -> list[object]:
    return ["train", data, *OPTIONS, "--save-dir", folder, *options]


def state(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint_last.pt", weights_only=False)["model"]


@pytest.fixture(scope="module")
def runs(caption_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The folder of all runs of one process, and what each printed."""
    folder = tmp_path_factory.mktemp("albef")
    commands = {
        "whole": training(caption_bin, folder / "whole", *WHOLE, "--max-update", 5),
        "half": training(caption_bin, folder / "broken", *WHOLE, "--max-update", 2),
        "resumed": training(caption_bin, folder / "broken", *WHOLE, "--max-update", 5),
    }
    commands["validate"] = [
        "validate", caption_bin, *OPTIONS[:4], "--path", folder / "whole" / "checkpoint_last.pt",
        "--valid-subset", "valid", "--batch-size", 5, "--num-workers", 0,
    ]  # fmt: skip
    short = ["--batch-size", 4, "--queue-size", 8, "--max-update", 5]
    for name, options in ABLATIONS.items():
        commands[name] = training(caption_bin, folder / name, *short, *options)
    return folder, run(folder, commands)


def test_resumed_equals_uninterrupted(runs: tuple[Path, dict]) -> None:
    """Weights, momentum weights, queues and the pointer, bit for bit, in the middle of an epoch."""
    folder, outputs = runs
    whole, broken = state(folder / "whole"), state(folder / "broken")
    assert whole.keys() == broken.keys()
    assert {name.split(".")[0] for name in whole} == {"network", "heads", "twin", "queue"}
    for name, value in whole.items():
        assert torch.equal(value, broken[name]), name
    assert "alpha" in logged(outputs["resumed"], "train_inner")[-1]
    # five batches of 4 an epoch: nine batches in five updates of two
    assert int(whole["queue.pointer"]) == 9 * 4 % 12


def test_ramp(runs: tuple[Path, dict]) -> None:
    """Three updates an epoch: alpha is 0, 0.133, 0.267, then 0.4."""
    records = logged(runs[1]["whole"], "train_inner")
    assert [float(r["alpha"]) for r in records] == pytest.approx(
        [0, 0.133, 0.267, 0.4, 0.4], abs=1e-3
    )


@pytest.mark.parametrize("row", list(ABLATIONS))
def test_rows_of_the_ablation(runs: tuple[Path, dict], row: str) -> None:
    folder, outputs = runs
    records = logged(outputs[row], "train_inner")
    assert len(records) == 5
    assert ("itc_loss" in records[0]) == (row != "mlm,itm")
    saved = state(folder / row)
    assert any(name.startswith("twin.") for name in saved) == (row != "mlm,itm")
    assert all(float(r["alpha"]) == 0 for r in records) == ("distilled" not in row and row != "all")


def test_rows_differ(runs: tuple[Path, dict]) -> None:
    """Each switch changes the weights."""
    ends = [state(runs[0] / row)["network.fusion.layers.0.up.weight"] for row in ABLATIONS]
    for number, end in enumerate(ends):
        assert all(not torch.equal(end, other) for other in ends[number + 1 :])


def test_two_processes(caption_bin: Path, tmp_path: Path) -> None:
    """20 samples in batches of 4: in the third step one process has no data left."""
    options = ["--batch-size", 4, "--queue-size", 24, "--max-epoch", 1]
    run(tmp_path, {"train": training(caption_bin, tmp_path / "save", *options)}, world=2)
    saved = state(tmp_path / "save")
    assert int(saved["queue.pointer"]) == 20
    rows = saved["queue.images"][:20]
    assert len({tuple(row) for row in rows.tolist()}) == 20


def test_validates_in_batches_of_any_size(runs: tuple[Path, dict]) -> None:
    """Its queue (12) is no multiple of 5, but nothing enters it."""
    line = re.search(r"valid on 'valid' subset .*", runs[1]["validate"])
    assert line is not None and "itc_loss" in line[0] and "mlm_loss" in line[0]


def test_queue_that_holds_no_whole_batches(caption_bin: Path, tmp_path: Path) -> None:
    done = support.fairseq(
        "train", *training(caption_bin, tmp_path, "--batch-size", 4, "--queue-size", 10)[1:],
        "--max-update", 1, check=False,
    )  # fmt: skip
    assert done.returncode
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: --queue-size 10 is no multiple of the batch, 4")
