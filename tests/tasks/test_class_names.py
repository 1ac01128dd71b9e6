"""Fine-tuning on data that orders its classes otherwise, by fairseq's commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq import evaluate
from mt_fairseq.convert.__main__ import main as convert
from mt_fairseq.convert.checkpoint_file import write_checkpoint
from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import load_checkpoint
from mt_fairseq.tasks.task_state import read_task_state
from tests.albef.test_fine_tuning import MODEL
from tests.support import TINY, logged
from tests.tasks import rank
from tests.tasks.colours import colour_bin
from tests.tasks.test_label_tasks import task_on

TRAIN = {"here": ["red", "blue", "green"], "there": ["blue", "green", "red"]}
TRAIN["some"] = ["grey", "blue", "red"]  # green is left out, grey is new
VALID = ["red", "red", "red", "blue", "red", "red"]
TOWERS = [
    *TINY, "--no-epoch-checkpoints", "--required-batch-size-multiple", 1, "--num-workers", 0,
    "--log-format", "json", "--log-interval", 1, "--batch-size", 4, "--max-update", 24,
    "--validate-interval", 12,
]  # fmt: skip
UNMOVED = ["--max-update", 1, "--lr", 1e-12, "--warmup-updates", 0]
ALBEF = [x for x in MODEL if x != "--disable-validation"]
KINDS: dict[str, tuple[str, list[object], str]] = {
    "vqa": ("answers", ["--task", "vqa", "--criterion", "vqa", *TOWERS], "vqa_score"),
    "classes": (
        "label",
        ["--task", "snli_ve", "--criterion", "classification", *TOWERS],
        "accuracy",
    ),
    "albef": (
        "label",
        ["--task", "snli_ve", "--criterion", "albef_classification", *ALBEF],
        "accuracy",
    ),
    "decoder": ("answers", ["--task", "albef_vqa", "--criterion", "albef_vqa", *ALBEF], "loss"),
}


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
        for order, classes in TRAIN.items():
            colours = {"train": classes + ["red"] * 5, "valid": VALID}
            said: dict[str, list[Any]] = {
                split: [[name] * 10 if target == "answers" else name for name in names]
                for split, names in colours.items()
            }
            first = next(iter(bins.values()), None)
            bins[target, order] = colour_bin(folder / f"{target}-{order}", said, classes, first)
    first: dict[str, Sequence[object]] = {}
    then: dict[str, Sequence[object]] = {}
    for kind, (target, options, _) in KINDS.items():
        for order in TRAIN:
            run = f"{kind} {order}"
            command = ["train", bins[target, order], *options, "--save-dir", folder / run]
            start = folder / f"{kind} here" / "checkpoint_last.pt"
            tuned = [*command, *UNMOVED, "--finetune-from-model", start]
            (first if order == "here" else then)[run] = command if order == "here" else tuned
    printed = rank.run(folder / "first", first)
    trained, converted = folder / "classes here" / "checkpoint_last.pt", folder / "converted.pt"
    write_checkpoint(converted, load_checkpoint(trained).model, read_task_state(trained), {})
    then["classes converted"] = [
        *then["classes there"], "--finetune-from-model", converted, "--save-dir", folder / "again",
    ]  # fmt: skip
    return Runs(bins, folder, printed | rank.run(folder / "then", then))


@pytest.mark.parametrize("kind", ["vqa", "classes", "albef"])
def test_the_score_stays(kind: str, runs: Runs) -> None:
    before = runs.score(f"{kind} here")
    assert before > 60  # so that classes in a wrong order would show
    head = KINDS[kind][1][1]
    reports = {
        "there": "3 matched by name",
        "some": "2 matched by name, 1 new ('grey'), 1 left out ('green')",
    }
    if kind == "classes":
        reports["converted"] = reports["there"]
    for order, report in reports.items():
        assert runs.score(f"{kind} {order}") == before
        assert f"classes: {head} head, {report}" in runs.printed[f"{kind} {order}"]


@pytest.mark.parametrize("kind", ["vqa", "decoder"])
def test_answers_in_words(kind: str, runs: Runs) -> None:
    """Each checkpoint names its own data's classes and says the same of the pictures.

    A decoder writes words: no row of it belongs to an answer.
    """
    said = {}
    for order in ("here", "there"):
        out = runs.folder / f"results-{kind}-{order}"
        checkpoint = str(runs.folder / f"{kind} {order}" / "checkpoint_last.pt")
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
    folder = str(runs.folder / "classes here")
    with pytest.raises(UserError, match=r"are not the 3 of .*checkpoint_last\.pt in their order"):
        task_on("snli_ve", runs.bins["label", "there"], save_dir=folder)


def test_a_head_that_was_never_trained_gives_no_answers(runs: Runs, tmp_path: Path) -> None:
    """Its fresh weights would answer at random, and be scored."""
    checkpoint = runs.folder / "vqa here" / "checkpoint_last.pt"
    arguments = [runs.bins["label", "here"], "--task", "snli_ve", "--path", checkpoint,
                 "--gen-subset", "valid", "--scoring", "accuracy", "--batch-size", 4,
                 "--num-workers", 0, "--cpu", "--results-path", tmp_path]  # fmt: skip
    with pytest.raises(UserError, match=r"without the head 'snli_ve' .*its heads: none"):
        evaluate.run_generate(evaluate.generate_options([str(word) for word in arguments]))
