"""Two CPU processes do what one process does that accumulates two batches."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support import ROOT, TINY, USER_DIR, environment, fairseq_arguments

QUIET = ["--dropout", "0", "--attention-dropout", "0", "--encoder-dropout", "0"]
QUIET += ["--manager-noise", "0"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(data: Path, save_dir: Path, *args: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *fairseq_arguments("train", [
            data, *TINY, *QUIET, "--save-dir", save_dir, "--batch-size", 2,
            "--required-batch-size-multiple", 1, "--no-epoch-checkpoints",
            "--max-update", 5, "--num-workers", 0, "--user-dir", USER_DIR, "--cpu", *args,
        ])],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment(),
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def start_two(data: Path, save_dir: Path, *args: object) -> list[subprocess.Popen]:
    """Both processes of a run."""
    port = free_port()
    return [
        start(
            data, save_dir, *args, "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp",
            "--distributed-world-size", 2, "--distributed-rank", rank, "--distributed-no-spawn",
            "--distributed-init-method", f"tcp://127.0.0.1:{port}",
        )
        for rank in (0, 1)
    ]  # fmt: skip


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=False)["model"]


@pytest.mark.parametrize("task", [["vlp_mlm_itm", "mlm_itm"], ["vqa", "vqa"]])
def test_two_processes_equal_accumulation(
    task: list[str], caption_bin: Path, vqa_bin: Path, tmp_path: Path
) -> None:
    data = caption_bin if task[1] == "mlm_itm" else vqa_bin
    options = ["--task", task[0], "--criterion", task[1]]
    finish(start(data, tmp_path / "one", *options, "--update-freq", 2))
    for process in start_two(data, tmp_path / "two", *options):
        finish(process)
    one, two = (weights(tmp_path / name / "checkpoint_last.pt") for name in ("one", "two"))
    for name, value in one.items():
        assert torch.allclose(value, two[name], rtol=0, atol=1e-7), name


def test_two_processes_resume_and_start_from_a_checkpoint(vqa_bin: Path, tmp_path: Path) -> None:
    options = ["--task", "vqa", "--criterion", "vqa", "--save-interval-updates", 3]
    for process in start_two(vqa_bin, tmp_path / "whole", *options):
        finish(process)
    middle = next((tmp_path / "whole").glob("checkpoint_*_3.pt"))
    resumed = start_two(vqa_bin, tmp_path / "resumed", *options, "--restore-file", middle)
    for process in resumed:
        finish(process)
    whole, again = (
        weights(tmp_path / name / "checkpoint_last.pt") for name in ("whole", "resumed")
    )
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name
    started = start_two(vqa_bin, tmp_path / "new", *options, "--finetune-from-model", middle)
    outputs = [finish(process) for process in started]
    assert "tensors loaded" in outputs[0]
