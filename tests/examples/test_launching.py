"""What the page on launching says, asked of fairseq itself: ranks, world sizes, loud failures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fairseq.distributed.utils import infer_init_method
from omegaconf import DictConfig

from mt_fairseq.plan.recipe import read_recipe

MODULE = "distributed_training"
TORCHRUN = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")


@pytest.fixture(autouse=True)
def eight_gpus_and_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SLURM_STEP_NODELIST", raising=False)
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)


@pytest.fixture
def second_slurm_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second of two nodes with a task each; a stand-in for Slurm's own command names them."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\nprintf 'node-0\\nnode-1\\n'\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name, value in {
        "SLURM_STEP_NODELIST": "node-[0-1]",
        "SLURM_NNODES": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NODEID": "1",
    }.items():
        monkeypatch.setenv(name, value)


def inferred(*overrides: str) -> DictConfig:
    distributed = read_recipe("vqa", list(overrides)).cfg.distributed_training
    infer_init_method(distributed)
    return distributed


def test_eight_gpus() -> None:
    found = inferred()
    assert found.distributed_init_method.startswith("tcp://localhost:")
    assert (found.distributed_world_size, found.distributed_num_procs) == (8, 8)


def test_one_gpu_needs_no_other() -> None:
    found = inferred(f"{MODULE}.distributed_world_size=1")
    assert (found.distributed_init_method, found.distributed_world_size) == (None, 1)


def test_fewer_gpus_than_named_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(AssertionError, match="world size is 8 but have 1 available devices"):
        inferred()


def test_slurm(second_slurm_node: None) -> None:
    found = inferred(f"{MODULE}.distributed_port=29500")
    assert found.distributed_init_method == "tcp://node-0:29500"
    assert (found.distributed_world_size, found.distributed_rank) == (16, 8)
    assert not found.distributed_no_spawn


def test_slurm_without_a_port_stops(second_slurm_node: None) -> None:
    with pytest.raises(AssertionError, match="world size is 16"):
        inferred()


def test_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(TORCHRUN, ("node-0", "29500", "16", "11"), strict=True):
        monkeypatch.setenv(name, value)
    found = inferred()
    assert found.distributed_init_method == "env://"
    assert (found.distributed_world_size, found.distributed_rank, found.device_id) == (16, 11, 3)
    assert found.distributed_no_spawn
    alone = inferred(f"{MODULE}.distributed_world_size=1")
    assert alone.distributed_init_method is None  # each process would train by itself
