"""One process a core on CPUs, as examples/launching/cpu.sh starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.support import ROOT, TINY, environment


def launch(data: Path, save_dir: Path, *args: object) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["bash", "examples/launching/cpu.sh", "2", data, "--user-dir", "user_dir", *TINY]
    command += ["--task", "vqa", "--criterion", "vqa", "--batch-size", 2, "--max-update", 2]
    command += ["--required-batch-size-multiple", 1, "--disable-validation", "--num-workers", 0]
    return subprocess.run(
        [*map(str, command), "--save-dir", str(save_dir), *map(str, args)],
        capture_output=True, text=True, cwd=ROOT, env={**environment(), "PATH": path}, timeout=300,
    )  # fmt: skip


def test_two_processes_train_together(vqa_bin: Path, tmp_path: Path) -> None:
    done = launch(vqa_bin, tmp_path / "save", "--log-format", "simple", "--log-interval", 1)
    assert done.returncode == 0, done.stderr
    assert "bsz=4" in done.stdout  # both processes' samples
    state = torch.load(tmp_path / "save" / "checkpoint_last.pt", weights_only=False)
    assert state["cfg"]["distributed_training"]["distributed_world_size"] == 2


def test_a_failure_ends_all_processes(vqa_bin: Path, tmp_path: Path) -> None:
    done = launch(vqa_bin, tmp_path / "save", "--num-managed-layers", 9)
    assert done.returncode
    assert "9 managed layers" in done.stderr
