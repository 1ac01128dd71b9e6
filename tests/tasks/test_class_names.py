"""Fine-tuning on data that orders its classes otherwise, by fairseq's commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mt_fairseq import evaluate
from mt_fairseq.convert.__main__ import main as convert
from mt_fairseq.convert.checkpoint_file import write_checkpoint
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import load_checkpoint
from mt_fairseq.tasks.task_state import read_task_state
from preprocess.__main__ import main as preprocess
from tests.albef.test_fine_tuning import MODEL as ALBEF
from tests.support import TINY, draw_square, logged
from tests.tasks import rank

TRAIN = {"here": ["red", "blue", "green"], "there": ["blue", "green", "red"]}
TRAIN["some"] = ["grey", "blue", "red"]  # green is left out, grey is new
VALID = ["red", "red", "red", "blue", "red", "red"]
TOWERS = [
    *TINY, "--no-epoch-checkpoints", "--required-batch-size-multiple", 1, "--num-workers", 0,
    "--log-format", "json", "--log-interval", 1, "--batch-size", 4, "--max-update", 24,
    "--validate-interval", 12,
]  # fmt: skip
UNMOVED = ["--max-update", 1, "--lr", 1e-12, "--warmup-updates", 0]
KINDS: dict[str, tuple[str, list[object], str]] = {
    "vqa": ("answers", ["--task", "vqa", "--criterion", "vqa", *TOWERS], "vqa_score"),
    "classes": (
        "label",
        ["--task", "snli_ve", "--criterion", "classification", *TOWERS],
        "accuracy",
    ),
    "albef": (
        "label",
        [x for x in ["--task", "snli_ve", "--criterion", "albef_classification", *ALBEF]
         if x != "--disable-validation"],
        "accuracy",
    ),
}  # fmt: skip


def build_bin(folder: Path, kind: str, order: str, tokenizer: Path | None) -> Path:
    """A data-bin whose classes stand in the order of ``TRAIN[order]``."""
    raw = folder / f"raw-{kind}-{order}"
    classes = folder / f"{order}.txt"
    classes.write_text("\n".join(TRAIN[order]) + "\n")
    for split, colours in (("train", TRAIN[order] + ["red"] * 5), ("valid", VALID)):
        lines = []
        for index, colour in enumerate(colours):
            name = f"images/{split}-{index}.png"
            draw_square(raw / name, colour if colour != "grey" else "green", index)
            value = [colour] * 10 if kind == "answers" else colour
            lines.append(json.dumps({"image": name, "text": "what colour is it ?", kind: value}))
        (raw / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    dest = folder / f"{kind}-{order}"
    preprocess(
        ["jsonl", "--raw", str(raw), "--dest", str(dest), "--workers", "1",
         "--answer-list", str(classes), "--vocab-size", "30",
         "--tokenizer", str(tokenizer or "sentencepiece")]
    )  # fmt: skip
    assert DataBin(dest).labels == TRAIN[order]
    return dest


@dataclass(frozen=True)
class Runs:
    """Data-bins by kind of target and order, checkpoints by run, and what each run printed."""

    bins: dict[tuple[str, str], Path]
    folder: Path
    printed: dict[str, str]

    def score(self, run: str) -> float:
        """The score of validation after training."""
        metric = KINDS[run.split(" ")[0]][2]
        return float(logged(self.printed[run], "valid")[-1][f"valid_{metric}"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("names")
    bins: dict[tuple[str, str], Path] = {}
    for target in ("label", "answers"):
        for order in TRAIN:
            first = next(iter(bins.values()), None)
            bins[target, order] = build_bin(folder, target, order, first)
    commands: dict[str, Sequence[object]] = {}
    for kind, (target, options, _) in KINDS.items():
        for order in TRAIN:
            run = f"{kind} {order}"
            start = ["--finetune-from-model", folder / f"{kind} here" / "checkpoint_last.pt"]
            commands[run] = [
                "train", bins[target, order], *options, "--save-dir", folder / run,
                *(start + UNMOVED if order != "here" else []),
            ]  # fmt: skip
    return Runs(bins, folder, rank.run(folder / "commands", commands))


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_stays(kind: str, runs: Runs) -> None:
    before = runs.score(f"{kind} here")
    assert before > 60  # so that classes in a wrong order would show
    head = KINDS[kind][1][1]
    for order, report in (
        ("there", "3 matched by name"),
        ("some", "2 matched by name, 1 new ('grey'), 1 left out ('green')"),
    ):
        assert runs.score(f"{kind} {order}") == before
        assert f"classes: {head} head, {report}" in runs.printed[f"{kind} {order}"]


def test_answers_in_words(runs: Runs) -> None:
    """Each checkpoint names its own data's classes and says the same of the pictures."""
    said = {}
    for order in ("here", "there"):
        out = runs.folder / f"results-{order}"
        checkpoint = str(runs.folder / f"vqa {order}")
        data = str(runs.bins["answers", order])
        options = ["--cpu", "--num-workers", "0", "--out", str(out)]
        assert evaluate.main([checkpoint, data, *options]) == 0
        lines = (out / "results.jsonl").read_text().splitlines()
        said[order] = [json.loads(line)["prediction"] for line in lines]
    assert said["here"] == said["there"]


@pytest.mark.parametrize("form", ["checkpoint", "exported folder"])
def test_evaluation_refuses_another_order(form: str, runs: Runs, tmp_path: Path) -> None:
    path = runs.folder / "classes here" / "checkpoint_last.pt"
    if form == "exported folder":
        assert convert(["export", str(path), "--out", str(tmp_path / "exported")]) == 0
        path = tmp_path / "exported"
    data = str(runs.bins["label", "there"])
    with pytest.raises(UserError, match="3 answer classes are not the 3 of"):
        evaluate.main([str(path), data, "--out", str(tmp_path / "out"), "--cpu"])


def test_resuming_refuses_another_order(runs: Runs) -> None:
    _, options, _ = KINDS["classes"]
    save = ["--save-dir", runs.folder / "classes here"]
    commands = {"resumed": ["train", runs.bins["label", "there"], *options, *save]}
    with pytest.raises(AssertionError, match="answer classes are not the 3 of"):
        rank.run(runs.folder / "resumed", commands)


def test_a_converted_checkpoint_names_its_classes(runs: Runs, tmp_path: Path) -> None:
    start = runs.folder / "classes here" / "checkpoint_last.pt"
    converted = tmp_path / "converted.pt"
    write_checkpoint(converted, load_checkpoint(start).model, read_task_state(start), {})
    _, options, _ = KINDS["classes"]
    commands = {
        "tuned": [
            "train", runs.bins["label", "there"], *options, "--save-dir", tmp_path / "tuned",
            "--finetune-from-model", converted, *UNMOVED,
        ]
    }  # fmt: skip
    printed = rank.run(tmp_path / "commands", commands)["tuned"]
    score = logged(printed, "valid")[-1]["valid_accuracy"]
    assert float(score) == runs.score("classes here")
