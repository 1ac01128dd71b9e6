"""fairseq-train, -validate and -hydra-train on data-bins that ``preprocess`` made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support import ROOT, fairseq, logged, train

PRETRAIN = ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm"]
VQA = ["--task", "vqa", "--criterion", "vqa", "--train-transform", "square"]


@pytest.fixture(scope="session")
def pretrained(caption_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint after ten pre-training updates."""
    folder = tmp_path_factory.mktemp("pretrained")
    done = train(caption_bin, folder, *PRETRAIN, "--max-update", 10, "--tensorboard-logdir",
                 folder / "tb")  # fmt: skip
    (folder / "log.txt").write_text(done.stdout + done.stderr)
    return folder / "checkpoint_last.pt"


def test_pretraining_logs_both_objectives(pretrained: Path) -> None:
    valid = logged((pretrained.parent / "log.txt").read_text(), "valid")[-1]
    for name in ("loss", "mlm_loss", "mlm_accuracy", "itm_loss", "itm_accuracy"):
        assert f"valid_{name}" in valid
    assert list((pretrained.parent / "tb" / "valid").glob("events*"))


def test_finetuning_from_pretraining_reports_and_learns(
    vqa_bin: Path, pretrained: Path, tmp_path: Path
) -> None:
    done = train(
        vqa_bin, tmp_path, *VQA, "--finetune-from-model", pretrained, "--max-update", 60,
        "--warmup-ratio", "0.1", "--validate-interval", 4,
        "--best-checkpoint-metric", "vqa_score", "--maximize-best-checkpoint-metric",
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert "new: vqa head" in output
    assert "left out: itm head, mlm head" in output
    valid = logged(output, "valid")
    assert float(valid[-1]["valid_vqa_score"]) > 60  # chance is one colour in three
    assert float(logged(output, "train_inner")[0]["loss"]) > float(valid[-1]["valid_loss"])
    best = torch.load(tmp_path / "checkpoint_best.pt", weights_only=False)
    assert best["extra_state"]["best"] == max(float(v["valid_vqa_score"]) for v in valid)
    again = fairseq("validate", vqa_bin, "--task", "vqa", "--path", tmp_path / "checkpoint_best.pt",
                    "--batch-size", 3, "--log-format", "json")  # fmt: skip
    score = logged(again.stdout + again.stderr, "valid")[-1]
    assert float(score["valid_vqa_score"]) == pytest.approx(best["extra_state"]["best"], abs=0.01)


def losses(output: str) -> list[str]:
    return [record["loss"] for record in logged(output, "train_inner")]


@pytest.mark.parametrize("options", [PRETRAIN, ["--task", "vqa", "--criterion", "vqa"]])
def test_losses_are_the_same_with_any_number_of_workers(
    options: list[str], caption_bin: Path, vqa_bin: Path, tmp_path: Path
) -> None:
    data = caption_bin if options is PRETRAIN else vqa_bin
    runs = [
        train(data, tmp_path / str(workers), *options, "--max-epoch", 3, "--max-update", 15,
              "--num-workers", workers)
        for workers in (0, 2)
    ]  # fmt: skip
    alone, helped = (losses(done.stdout + done.stderr) for done in runs)
    assert len(alone) == 15
    assert alone == helped


@pytest.mark.parametrize(
    "config", ["pretraining/config/managertower_tiny", "vqa/config/managertower_tiny"]
)
def test_hydra_runs_the_tiny_recipes(
    config: str, caption_bin: Path, vqa_bin: Path, tmp_path: Path
) -> None:
    folder, _, name = config.rpartition("/")
    data = caption_bin if "pretraining" in config else vqa_bin
    done = fairseq(
        "hydra_train", "--config-dir", ROOT / "examples" / folder, "--config-name", name,
        f"task.data={data}", "task.image_size=32", f"checkpoint.save_dir={tmp_path}",
        f"hydra.run.dir={tmp_path}", "optimization.max_update=2", "dataset.batch_size=4",
        "dataset.num_workers=0", "common.cpu=true", "common.log_format=json",
        "common.log_interval=1", f"common.tensorboard_logdir={tmp_path}/tb",
    )  # fmt: skip
    assert (tmp_path / "checkpoint_last.pt").is_file(), done.stdout + done.stderr
