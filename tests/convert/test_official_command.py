"""``python -m mt_fairseq.convert official``: published files become checkpoints that all read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mt_fairseq import BridgeTower, ManagerTower, Meter
from mt_fairseq.convert import from_official
from mt_fairseq.convert.__main__ import main
from mt_fairseq.convert.infer import infer_config
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from tests import support
from tests.convert.published_file import (
    GOLDEN_HEADS,
    hyper_parameters,
    official_state,
    write_published,
)

CLASSES = {"mt_aaue": ManagerTower, "bt": BridgeTower, "meter": Meter}


@pytest.fixture(scope="module")
def sizes(vqa_bin: Path) -> tuple[int, int]:
    """Words and answers of the data-bin."""
    data = DataBin(vqa_bin)
    assert data.labels is not None
    return len(data.tokenizer.symbols), len(data.labels)


def convert(published: Path, out: Path, data: Path, *args: object) -> int:
    return main(
        ["official", str(published), "--out", str(out), "--tokenizer", str(data), "--heads",
         str(GOLDEN_HEADS), *map(str, args)]
    )  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
@torch.no_grad()
def test_vqa(
    name: str, shared_dir: Path, vqa_bin: Path, sizes: tuple[int, int], tmp_path: Path, capsys: Any
) -> None:
    golden = shared_dir / "golden" / name
    published = write_published(tmp_path / "vqa.ckpt", golden, "vqa", *sizes)
    assert convert(published, tmp_path / "vqa.pt", vqa_bin, "--labels", vqa_bin) == 0
    printed = capsys.readouterr().out
    assert "mapped: " in printed and "missing: none" in printed and "left over: none" in printed
    assert "unused: " in printed and "task vqa" in printed
    hub = CLASSES[name].from_pretrained(tmp_path / "vqa.pt")
    assert hub.heads == ["vqa"]
    assert hub.task.labels == DataBin(vqa_bin).labels
    assert hub.task.text_limit == 16  # of the file's hyper-parameters
    state = official_state(golden, "vqa", *sizes)
    config = infer_config(state, hyper_parameters(golden)["config"], GOLDEN_HEADS)
    reference = from_official(state, config)
    tokens = hub.encode("what colour is the square in the picture ?")[None]
    images = torch.rand(1, 3, *hub.task.resolution)
    ours = hub.model(tokens, images, classification_head_name="vqa").logits
    assert torch.equal(ours, reference(tokens, images, classification_head_name="vqa").logits)
    with pytest.raises(UserError, match="not a "):
        next(c for c in CLASSES.values() if c is not CLASSES[name]).from_pretrained(
            tmp_path / "vqa.pt"
        )


def test_generate_and_finetune(
    shared_dir: Path, vqa_bin: Path, caption_bin: Path, sizes: tuple[int, int], tmp_path: Path
) -> None:
    golden = shared_dir / "golden" / "mt_saue"
    published = write_published(tmp_path / "vqa.ckpt", golden, "vqa", *sizes)
    convert(published, tmp_path / "vqa.pt", vqa_bin, "--labels", vqa_bin, "--image-size", 48)
    done = support.fairseq(
        "generate", vqa_bin, "--task", "vqa", "--path", tmp_path / "vqa.pt", "--gen-subset",
        "valid", "--scoring", "vqa_accuracy", "--batch-size", 4, "--beam", 1, "--nbest", 1,
    )  # fmt: skip
    assert "VQA accuracy" in done.stdout
    options = (
        "--num-cross-modal-layers", 4, "--num-managed-layers", 6, "--manager-type", "saue",
        "--vision-layers", 8, "--vision-width", 24, "--vision-heads", 4, "--text-width", 24,
        "--text-layers", 8, "--text-heads", 4, "--text-positions", 16, "--hidden-size", 24,
        "--cross-modal-heads", 4, "--max-update", 1, "--warmup-ratio", 0.5, "--disable-validation",
    )  # fmt: skip
    pretrained = write_published(tmp_path / "pt.ckpt", golden, "pretraining", *sizes)
    convert(pretrained, tmp_path / "pt.pt", caption_bin)
    done = support.train(
        vqa_bin, tmp_path / "save", "--task", "vqa", "--criterion", "vqa",
        "--finetune-from-model", tmp_path / "pt.pt", *options,
    )  # fmt: skip
    assert "new: vqa head; left out: itm head, mlm head" in done.stdout + done.stderr
    assert (tmp_path / "save" / "checkpoint_last.pt").is_file()


def test_pretraining(
    shared_dir: Path, caption_bin: Path, sizes: tuple[int, int], tmp_path: Path
) -> None:
    golden = shared_dir / "golden" / "bt"
    published = write_published(tmp_path / "pt.ckpt", golden, "pretraining", *sizes)
    convert(published, tmp_path / "pt.pt", caption_bin)
    hub = BridgeTower.from_pretrained(tmp_path / "pt.pt")
    assert hub.heads == ["mlm", "itm"]
    support.draw_square(tmp_path / "red.png", "red", 1)
    assert 0 < hub.match(tmp_path / "red.png", "a red square") < 1


@pytest.mark.parametrize(("task", "head"), [("snli_ve", "snli_ve"), ("nlvr2", "nlvr2")])
def test_classification(
    task: str, head: str, shared_dir: Path, vqa_bin: Path, sizes: tuple[int, int], tmp_path: Path
) -> None:
    golden = shared_dir / "golden" / "mt_aaue"
    published = write_published(tmp_path / "x.ckpt", golden, task, *sizes)
    convert(published, tmp_path / "x.pt", vqa_bin)
    straight = torch.load(tmp_path / "x.pt", weights_only=True)
    labels = straight["task_state"]["labels"]
    (tmp_path / "labels.txt").write_text("\n".join(reversed(labels)))
    convert(published, tmp_path / "y.pt", vqa_bin, "--labels", tmp_path / "labels.txt")
    turned = torch.load(tmp_path / "y.pt", weights_only=True)
    assert turned["task_state"]["labels"] == labels[::-1]
    for part in ("weight", "bias"):
        name = f"heads.{head}.out.{part}"
        assert torch.equal(straight["model"][name].flip(0), turned["model"][name])
    (tmp_path / "labels.txt").write_text("\n".join(["maybe"] * len(labels)))
    with pytest.raises(UserError, match=f"are not the classes of {task}"):
        convert(published, tmp_path / "z.pt", vqa_bin, "--labels", tmp_path / "labels.txt")


def test_retrieval(
    shared_dir: Path, caption_bin: Path, sizes: tuple[int, int], tmp_path: Path
) -> None:
    golden = shared_dir / "golden" / "mt_aaue"
    published = write_published(tmp_path / "x.ckpt", golden, "retrieval", *sizes)
    convert(published, tmp_path / "x.pt", caption_bin)
    state = torch.load(tmp_path / "x.pt", weights_only=True)
    assert state["task_state"]["task"] == "retrieval"
    assert "heads.itc.temperature" in state["model"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "--labels is needed for --task vqa"),
        (["--labels", "none.txt"], "--labels none.txt: no such file"),
        (["--task", "nlvr2"], "--task nlvr2: the checkpoint has no head for it, it has vqa"),
        (["--text-length", "40", "--labels", __file__], "the text encoder has 16 positions"),
        (["--text-length", "1"], "--text-length 1: must be at least 3"),
        (["--image-size", "50"], "--image-size 50: no multiple"),
        (["--tokenizer", "/nowhere/roberta"], "/nowhere/roberta: there is no such folder"),
    ],
)
def test_wrong_options(
    args: list[str], message: str, shared_dir: Path, vqa_bin: Path, sizes: tuple[int, int],
    tmp_path: Path,
) -> None:  # fmt: skip
    golden = shared_dir / "golden" / "mt_saue"
    published = write_published(tmp_path / "vqa.ckpt", golden, "vqa", *sizes)
    with pytest.raises(UserError, match=message):
        convert(published, tmp_path / "vqa.pt", vqa_bin, *args)
    assert not (tmp_path / "vqa.pt").exists()


def test_files_that_do_not_fit(
    shared_dir: Path, vqa_bin: Path, sizes: tuple[int, int], tmp_path: Path
) -> None:
    golden = shared_dir / "golden" / "mt_saue"
    other_words = write_published(tmp_path / "a.ckpt", golden, "pretraining", sizes[0] + 1)
    with pytest.raises(UserError, match=r"has \d+ entries and pads with id 1, the model \d+ and 1"):
        convert(other_words, tmp_path / "a.pt", vqa_bin)
    other_answers = write_published(tmp_path / "b.ckpt", golden, "vqa", sizes[0], 2)
    with pytest.raises(UserError, match=r"\d labels for a head of 2 classes"):
        convert(other_answers, tmp_path / "b.pt", vqa_bin, "--labels", vqa_bin)
    state = official_state(golden, "vqa", *sizes)
    torch.save({"state_dict": {**state, "new.part": torch.ones(1)}}, tmp_path / "c.ckpt")
    with pytest.raises(UserError, match=r"no place .*new\.part.*--allow-leftovers"):
        convert(tmp_path / "c.ckpt", tmp_path / "c.pt", vqa_bin, "--labels", vqa_bin)
    args = ("--labels", vqa_bin, "--allow-leftovers")
    assert convert(tmp_path / "c.ckpt", tmp_path / "c.pt", vqa_bin, *args) == 0


def test_places_that_cannot_be_written(vqa_bin: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; name the checkpoint file"):
        convert(tmp_path / "x.ckpt", tmp_path, vqa_bin)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        convert(tmp_path / "x.ckpt", tmp_path / "file" / "x.pt", vqa_bin)


def test_a_mistake_ends_in_one_line(vqa_bin: Path, tmp_path: Path) -> None:
    """The command as a user types it; nothing but one line, and no network is waited for."""
    done = support.python(
        "-m", "mt_fairseq.convert", "official", tmp_path / "none.ckpt", "--out", tmp_path / "x.pt",
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"error: {tmp_path / 'none.ckpt'}: no such file"]


@pytest.mark.parametrize("command", ["official", "huggingface", "export", "verify"])
def test_help_teaches(command: str) -> None:
    text = support.python("-m", "mt_fairseq.convert", command, "--help").stdout
    assert "examples:" in text and f"python -m mt_fairseq.convert {command}" in text
