"""fairseq-train that is stopped in mid-epoch and resumed with other batches or processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from fairseq_cli.train import cli_main

import mt_fairseq.plugin  # noqa: F401
from mt_fairseq.errors import UserError
from tests.support import ROOT, TINY, USER_DIR, environment, logged
from tests.tasks.rank import free_port, together

SAMPLES = 20
TASK = ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm"]


def arguments(data: Path, save_dir: Path, *args: object) -> list[str]:
    return [str(arg) for arg in (
        data, *TINY, *TASK, "--save-dir", save_dir, "--required-batch-size-multiple", 1,
        "--no-epoch-checkpoints", "--disable-validation", "--max-epoch", 1, "--num-workers", 0,
        "--log-format", "json", "--log-interval", 1, "--user-dir", USER_DIR, "--cpu", *args,
    )]  # fmt: skip


def run(data: Path, save_dir: Path, *args: object, world: int = 1) -> tuple[list[int], str]:
    """The samples that all processes of a run saw, and what the first one printed."""
    command = [sys.executable, "-m", "tests.tasks.record_ids", *arguments(data, save_dir, *args)]
    port = free_port()
    processes = [
        subprocess.Popen(
            [*command, *together(rank, world, port)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment(),
        )
        for rank in range(world)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert not any(process.returncode for process in processes), "\n\n".join(outputs)
    lines = [line for output in outputs for line in output.splitlines()]
    seen = [json.loads(line[4:]) for line in lines if line.startswith("ids ")]
    return [index for ids in seen for index in ids], outputs[0]


@pytest.fixture(scope="module")
def stopped(caption_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A run's folder after two of the five updates of an epoch, and the samples that it saw."""
    folder = tmp_path_factory.mktemp("stopped")
    schedule = ["--lr-scheduler", "fixed"]  # has no end, so that the runs can stop anywhere
    seen, _ = run(caption_bin, folder, "--batch-size", 4, *schedule, "--max-update", 2)
    assert len(seen) == 8
    return folder, seen


def test_every_sample_is_trained_on_once(
    stopped: tuple[Path, list[int]], caption_bin: Path, tmp_path: Path
) -> None:
    folder, seen = shutil.copytree(stopped[0], tmp_path / "run"), list(stopped[1])
    same = [caption_bin, folder, "--lr-scheduler", "fixed"]
    own, output = run(*same, "--batch-size", 2, "--max-update", 4, world=2)
    seen += own
    assert [int(record["bsz"]) for record in logged(output, "train_inner")] == [4, 4]
    assert '"epoch": 1, ' in output
    own, output = run(*same, "--batch-size", 1, "--update-freq", 3)
    seen += own
    assert Counter(seen) == Counter(range(SAMPLES))
    records = logged(output, "train_inner")
    assert [int(record["num_updates"]) for record in records] == [5, 6]
    assert [int(record["bsz"]) for record in records] == [3, 1]
    state = torch.load(folder / "checkpoint_last.pt", weights_only=True)
    iterator = state["extra_state"]["train_iterator"]
    assert (iterator["epoch"], iterator["iterations_in_epoch"]) == (2, 0)


def train_here(monkeypatch: pytest.MonkeyPatch, *args: object) -> None:
    """fairseq-train in this process."""
    monkeypatch.setattr(sys, "argv", ["fairseq-train", *arguments(*args)])  # type: ignore[arg-type]
    cli_main()


def test_other_data_in_mid_epoch_is_one_line(
    stopped: tuple[Path, list[int]], caption_bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=f"{caption_bin}: has 27 training samples, but"):
        train_here(
            monkeypatch, caption_bin, stopped[0], "--lr-scheduler", "fixed", "--batch-size", 4,
            "--train-splits", "train,valid",
        )  # fmt: skip


def test_a_checkpoint_of_an_earlier_version(
    stopped: tuple[Path, list[int]], caption_bin: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It counts batches: the same ones go on as then, others are one line."""
    folder, last = tmp_path / "old", tmp_path / "old" / "checkpoint_last.pt"
    folder.mkdir()
    state = torch.load(stopped[0] / last.name, weights_only=True)
    del state["extra_state"]["train_iterator"]["samples"]
    torch.save(state, last)
    common = [caption_bin, folder, "--lr-scheduler", "fixed"]
    with pytest.raises(UserError, match=r"resume with --batch-size 4 until the epoch ends") as told:
        train_here(monkeypatch, *common, "--batch-size", 6)
    assert str(last) in str(told.value)
    assert "--reset-dataloader" in str(told.value)
    assert "\n" not in str(told.value)
    with pytest.raises(UserError, match=r"this run has --seed 2"):
        train_here(monkeypatch, *common, "--batch-size", 4, "--seed", 2)
    train_here(monkeypatch, *common, "--batch-size", 4)
    done = torch.load(last, weights_only=True)
    assert done["optimizer_history"][-1]["num_updates"] == 5
