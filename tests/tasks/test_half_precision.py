"""Training in half precision and with checkpointed layers, by fairseq's own commands on a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support import ROOT, fairseq, logged, train

PRETRAIN = ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm", "--max-update", 3]
PRETRAIN += ["--disable-validation", "--cross-modal-lr-multiplier", 5]


def losses(output: str) -> list[float]:
    found = [float(record["loss"]) for record in logged(output, "train_inner")]
    assert len(found) == 3, output
    return found


def check_groups(folder: Path) -> None:
    """The optimizer has all groups, and every weight has moments in float32."""
    saved = torch.load(folder / "checkpoint_last.pt", weights_only=False)
    assert saved["cfg"]["common"]["bf16"] or saved["cfg"]["common"]["fp16"]
    assert saved["optimizer_history"][-1]["num_updates"] == 3
    assert all(weights.isfinite().all() for weights in saved["model"].values())
    state = saved["last_optimizer_state"]
    rates = {group["name"]: group["lr_multiplier"] for group in state["param_groups"]}
    assert rates == {"base": 1, "base.no_decay": 1, "cross_modal": 5, "cross_modal.no_decay": 5,
                     "head": 1, "head.no_decay": 1}  # fmt: skip
    assert all(moments["exp_avg"].dtype == torch.float32 for moments in state["state"].values())
    assert len(state["state"]) > 100


def test_command_line(caption_bin: Path, tmp_path: Path) -> None:
    found = {}
    for precision in ("fp16", "bf16"):
        folder = tmp_path / precision
        done = train(caption_bin, folder, *PRETRAIN, f"--{precision}")
        output = done.stdout + done.stderr
        found[precision] = losses(output)
        assert ("loss_scale" in logged(output, "train_inner")[0]) == (precision == "fp16")
        check_groups(folder)
    assert found["bf16"] == pytest.approx(found["fp16"], rel=0.03)
    assert found["bf16"] != found["fp16"]


def test_hydra_with_checkpointed_layers(caption_bin: Path, tmp_path: Path) -> None:
    fairseq(
        "hydra_train", "--config-dir", ROOT / "examples/pretraining/config",
        "--config-name", "managertower_tiny", f"task.data={caption_bin}", "task.image_size=32",
        "task.max_text_len=12", f"checkpoint.save_dir={tmp_path}", f"hydra.run.dir={tmp_path}",
        "optimization.max_update=3", "dataset.batch_size=4", "dataset.num_workers=0",
        "dataset.disable_validation=true", "common.cpu=true", "common.log_format=json",
        "common.log_interval=1", "common.bf16=true", "+model.checkpoint_activations=true",
        "optimizer.cross_modal_lr_multiplier=5", f"common.tensorboard_logdir={tmp_path}/tb",
    )  # fmt: skip
    check_groups(tmp_path)
