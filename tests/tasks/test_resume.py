"""A run that was killed and resumed ends with the weights of one that was not, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.support import ROOT, TINY, USER_DIR, environment, fairseq_arguments

UPDATES = 12  # two and a half epochs of 20 samples in batches of 4
PRETRAIN = ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm"]
VQA = ["--task", "vqa", "--criterion", "vqa"]


def command(data: Path, save_dir: Path, *args: object) -> list[str]:
    return [sys.executable, *fairseq_arguments("train", [
        data, *TINY, "--save-dir", save_dir, "--batch-size", 4,
        "--required-batch-size-multiple", 1, "--no-epoch-checkpoints", "--disable-validation",
        "--save-interval-updates", 1, "--keep-interval-updates", 2, "--max-update", UPDATES,
        "--warmup-updates", 2, "--log-format", "json", "--log-interval", 1,
        "--user-dir", USER_DIR, "--cpu", *args,
    ])]  # fmt: skip


def run(args: list[str]) -> None:
    done = subprocess.run(args, capture_output=True, text=True, cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr


def kill_when(args: list[str], condition) -> None:
    """Start a training and kill -9 its process group as soon as ``condition()`` holds."""
    process = subprocess.Popen(
        args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment(),
        start_new_session=True,
    )  # fmt: skip
    deadline = time.time() + 120
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.time() < deadline, "the run never came to the point where it should be killed"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def weights(save_dir: Path) -> dict[str, torch.Tensor]:
    state = torch.load(save_dir / "checkpoint_last.pt", weights_only=False)
    assert state["optimizer_history"][-1]["num_updates"] == UPDATES
    return state["model"]


def assert_same(left: Path, right: Path) -> None:
    ours, theirs = weights(left), weights(right)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize(
    ("task", "options"),
    [
        (PRETRAIN, ["--num-workers", 0]),
        (PRETRAIN, ["--num-workers", 2]),
        (VQA, ["--num-workers", 0, "--update-freq", 2]),
    ],
    ids=["plain", "two-workers", "accumulation"],
)
def test_killed_in_mid_epoch(
    task: list[str], options: list[object], caption_bin: Path, vqa_bin: Path, tmp_path: Path
) -> None:
    data = caption_bin if task is PRETRAIN else vqa_bin
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(command(data, whole, *task, *options))
    args = command(data, broken, *task, *options)
    kill_when(args, lambda: list(broken.glob("checkpoint_*_7.pt")))
    run(args)
    assert_same(whole, broken)


@pytest.mark.parametrize("partial", ["checkpoint_1_4.pt.tmp", "checkpoint_last.pt.tmp"])
def test_killed_while_a_checkpoint_is_written(
    partial: str, caption_bin: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = [*PRETRAIN, "--num-workers", 0]
    run(command(caption_bin, whole, *options))
    args = command(caption_bin, broken, *options)

    def writing() -> bool:
        late = list(broken.glob("checkpoint_1_[34].pt"))
        return bool(late or "_4" in partial) and (broken / partial).exists()

    kill_when(args, writing)
    run(args)
    assert_same(whole, broken)
