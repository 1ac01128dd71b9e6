"""Averaged weights (``--store-ema``) in our own commands and in fairseq's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fairseq.checkpoint_utils import save_ema_as_checkpoint
from fairseq.dataclass.configs import EMAConfig

from mt_fairseq import ManagerTower, evaluate, predict
from mt_fairseq.convert.__main__ import main as convert
from mt_fairseq.errors import UserError
from mt_fairseq.models.averaged import WeightAverage
from mt_fairseq.models.checkpoint import load_checkpoint
from tests import support
from tests.commands.conftest import train_elsewhere

QUESTION = "what colour is the square ?"


@pytest.fixture(scope="module")
def checkpoint(question_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VQA model whose average is far behind its weights."""
    folder = train_elsewhere(
        question_bin, tmp_path_factory.mktemp("averaged"), "--task", "vqa", "--criterion", "vqa",
        "--store-ema", "--ema-decay", 0.95,
    )  # fmt: skip
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "vqa"
    assert convert(["export", str(checkpoint), "--out", str(out), "--ema"]) == 0
    return out


def test_from_pretrained_and_export(checkpoint: Path, exported: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    average = state["extra_state"]["ema"]
    ours = ManagerTower.from_pretrained(checkpoint, ema=True).model.state_dict()
    again = ManagerTower.from_pretrained(exported).model.state_dict()
    plain = ManagerTower.from_pretrained(checkpoint).model.state_dict()
    assert ours.keys() == again.keys() == plain.keys() == average.keys()
    for name, value in average.items():
        assert torch.equal(ours[name], value) and torch.equal(again[name], value), name
        assert torch.equal(plain[name], state["model"][name]), name
    assert any(not torch.equal(ours[name], plain[name]) for name in ours)
    card = (exported / "README.md").read_text()
    assert "| weights | moving average, decay 0.95 |" in card
    assert "| score to expect | not measured |" in card  # the run's best is that of the others


def test_evaluate_and_predict(
    checkpoint: Path, exported: Path, question_bin: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    results = {}
    runs = {"ema": [checkpoint, "--ema"], "exported": [exported], "plain": [checkpoint]}
    for name, options in runs.items():
        out = tmp_path / name
        args = [options[0], question_bin, "--out", out, "--cpu", "--num-workers", 0, *options[1:]]
        assert evaluate.main([*map(str, args)]) == 0
        assert json.loads((out / "score.json").read_text())["ema"] is (name == "ema")
        lines = (out / "generate-valid.txt").read_text().splitlines()
        results[name] = [line for line in lines if line.startswith("H-")]
    assert len(results["ema"]) >= 9
    assert results["ema"] == results["exported"] != results["plain"]
    support.draw_square(tmp_path / "red.png", "red", 0)
    asked = ["--image", str(tmp_path / "red.png"), "--text", QUESTION]
    capsys.readouterr()
    said = {}
    for name, options in runs.items():
        assert predict.main([*map(str, options), *asked]) == 0
        said[name] = capsys.readouterr().out
    assert said["ema"] == said["exported"] != said["plain"]


def test_fairseq_takes_the_average(checkpoint: Path, question_bin: Path, tmp_path: Path) -> None:
    """By a model override, or from a file of its own that fairseq's function writes."""
    own = tmp_path / "average.pt"
    save_ema_as_checkpoint(str(checkpoint), str(own))
    losses = []
    for options in ([checkpoint, "--model-overrides", "{'use_ema': True}"], [own]):
        done = support.fairseq(
            "validate", question_bin, "--task", "vqa", "--valid-subset", "valid", "--batch-size", 9,
            "--num-workers", 0, "--log-format", "json", "--path", *options,
        )  # fmt: skip
        (record,) = support.logged(done.stdout + done.stderr, "valid")
        losses.append(record["valid_loss"])
    assert losses[0] == losses[1]
    hub = ManagerTower.from_pretrained(own)
    average = torch.load(checkpoint, weights_only=True)["extra_state"]["ema"]
    assert all(torch.equal(average[n], v) for n, v in hub.model.state_dict().items())


def test_without_an_average(
    vqa_checkpoint: Path, exported: Path, question_bin: Path, raw_questions: Path, tmp_path: Path
) -> None:
    message = "holds no averaged weights"
    image = str(raw_questions / "images" / "train-0.png")
    with pytest.raises(UserError, match=message):
        load_checkpoint(vqa_checkpoint, ema=True)
    with pytest.raises(UserError, match=message):
        evaluate.main([str(exported), str(question_bin), "--out", str(tmp_path / "out"), "--ema"])
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=message):
        predict.main([str(vqa_checkpoint), "--image", image, "--text", QUESTION, "--ema"])
    with pytest.raises(UserError, match=message):
        convert(["export", str(vqa_checkpoint), "--out", str(tmp_path / "exported"), "--ema"])
    with pytest.raises(UserError, match="--ema and --model-overrides"):
        evaluate.main(["a", "b", "--out", "c", "--ema", "--", "--model-overrides", "{}"])


def test_wrong_options(question_bin: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"ema_decay": 1.5}, "--ema-decay 1.5: give a share"),
        ({"ema_update_freq": 0}, "--ema-update-freq 0: at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            WeightAverage(torch.nn.Linear(2, 2), EMAConfig(**options))
    done = support.train(
        question_bin, tmp_path, "--task", "vqa", "--criterion", "vqa", "--max-update", 2,
        "--store-ema", "--ema-seed-model", "nope.pt", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "error: --ema-seed-model nope.pt: no such file"
    assert "train_inner" not in done.stdout + done.stderr
