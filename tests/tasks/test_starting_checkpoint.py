"""The checkpoint that a training starts from: there, of this task, and one that can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from mt_fairseq import plugin  # noqa: F401
from mt_fairseq.errors import UserError
from mt_fairseq.models.starting_point import StartingPoint, find_starting_point
from mt_fairseq.run_checks.checks import check_training
from tests.support import TINY, USER_DIR, fairseq, train

VQA = ["--task", "vqa", "--criterion", "vqa"]
PRETRAIN = ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm"]
STEP = ["--max-update", 1, "--warmup-updates", 0]
RESETS = ["--reset-optimizer", "--reset-dataloader", "--reset-meters", "--reset-lr-scheduler"]
Check = Callable[..., None]


@pytest.fixture(scope="module")
def trained(vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The save-dir of a VQA training."""
    folder = tmp_path_factory.mktemp("trained")
    train(vqa_bin, folder, *VQA, *STEP)
    return folder


@pytest.fixture(scope="module")
def pretrained(caption_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-training checkpoint."""
    folder = tmp_path_factory.mktemp("pretrained")
    train(caption_bin, folder, *PRETRAIN, *STEP)
    return folder / "checkpoint_last.pt"


@pytest.fixture
def check(vqa_bin: Path, tmp_path: Path) -> Check:
    """Checks the options of a VQA training."""

    def start(*further: object) -> None:
        line = [vqa_bin, "--user-dir", USER_DIR, *VQA, *TINY, *STEP, "--batch-size", 4]
        line += ["--save-dir", tmp_path / "save", *further]
        parser = options.get_training_parser()
        args = options.parse_args_and_arch(parser, [str(word) for word in line])
        check_training(convert_namespace_to_omegaconf(args))

    return start


def changed(path: Path, to: Path, **entries: Any) -> Path:
    """A copy of a checkpoint with other entries."""
    torch.save({**torch.load(path, weights_only=True), **entries}, to)
    return to


def test_first_start_and_resume_need_no_option(check: Check, trained: Path) -> None:
    check()
    check("--save-dir", trained)
    check("--restore-file", trained / "checkpoint_best.pt")


def test_file_that_is_not_there_trains_nothing(vqa_bin: Path, tmp_path: Path) -> None:
    done = train(vqa_bin, tmp_path / "save", *VQA, *STEP, "--restore-file", "gone.pt", check=False)
    assert done.returncode
    assert done.stderr.strip().splitlines()[-1] == "error: --restore-file gone.pt: no such file"
    assert not (tmp_path / "save").exists()


def test_name_in_the_save_dir_is_found_for_the_user(check: Check, trained: Path) -> None:
    with pytest.raises(UserError, match=f"there is {trained}/checkpoint_best.pt"):
        check("--save-dir", trained, "--restore-file", "checkpoint_best.pt")


def test_folder(check: Check, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"name the file in it, {trained}/checkpoint_best.pt"):
        check("--restore-file", trained)
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="an exported folder cannot be trained"):
        check("--finetune-from-model", tmp_path)


@pytest.mark.parametrize(("suffix", "option"), [("-shard0", "--restore-file"), ("", "--save-dir")])
def test_rules_of_fairseq(suffix: str, option: str, tmp_path: Path) -> None:
    last = tmp_path / f"checkpoint_last{suffix}.pt"
    named = {"finetune_from_model": "a.pt", "continue_once": "b.pt", "suffix": suffix}
    found = find_starting_point(str(tmp_path), "checkpoint_last.pt", **named)  # type: ignore[arg-type]
    assert found == StartingPoint(Path("b.pt"), "--continue-once", True)
    last.touch()
    found = find_starting_point(str(tmp_path), "checkpoint_last.pt", **named)  # type: ignore[arg-type]
    assert found == StartingPoint(last, "--save-dir", True)
    found = find_starting_point(str(tmp_path), "x.pt", None, suffix=suffix)
    assert found == StartingPoint(Path(f"x{suffix}.pt"), "--restore-file", True)


def test_another_task_is_no_training_to_resume(check: Check, pretrained: Path) -> None:
    with pytest.raises(UserError, match=r"of --task vlp_mlm_itm, not vqa.*--finetune-from-model"):
        check("--restore-file", pretrained)
    with pytest.raises(UserError, match="and another --save-dir"):
        check("--save-dir", pretrained.parent)
    check("--restore-file", pretrained, *RESETS)
    check("--finetune-from-model", pretrained)


def test_another_precision(check: Check, trained: Path, tmp_path: Path) -> None:
    last = trained / "checkpoint_last.pt"
    with pytest.raises(UserError, match=r"trains in float32.*this run trains in half precision"):
        check("--restore-file", last, "--bf16")
    check("--restore-file", last, "--bf16", "--reset-optimizer")
    history = torch.load(last, weights_only=True)["optimizer_history"]
    history[-1]["optimizer_name"] = "FP16Optimizer"
    half = changed(last, tmp_path / "half.pt", optimizer_history=history)
    check("--restore-file", half, "--bf16")
    with pytest.raises(UserError, match=r"in half precision, this run trains in float32"):
        check("--restore-file", half)


def test_another_metric_is_not_compared_with(check: Check, trained: Path) -> None:
    other = ["--best-checkpoint-metric", "vqa_score", "--maximize-best-checkpoint-metric"]
    with pytest.raises(UserError, match=r"chosen by loss, this run chooses by vqa_score"):
        check("--save-dir", trained, *other)
    check("--save-dir", trained, *other, "--reset-meters")
    check("--finetune-from-model", trained / "checkpoint_last.pt", *other)


def test_training_without_its_optimizer(check: Check, trained: Path, tmp_path: Path) -> None:
    last = trained / "checkpoint_last.pt"
    bare = changed(last, tmp_path / "bare.pt", last_optimizer_state=None)
    with pytest.raises(UserError, match="was saved without the optimizer's state"):
        check("--restore-file", bare)
    check("--finetune-from-model", bare)


def test_model_of_another_task_does_not_answer_at_random(pretrained: Path, vqa_bin: Path) -> None:
    line = [vqa_bin, "--task", "vqa", "--path", pretrained, "--batch-size", 4]
    done = fairseq("generate", *line, "--gen-subset", "valid", check=False)
    assert done.returncode
    assert "without the head 'vqa' of --task vqa" in done.stderr.splitlines()[-1]
    done = fairseq("validate", *line, check=False)
    assert done.returncode
    assert "is of --task vlp_mlm_itm" in done.stderr.splitlines()[-1]
