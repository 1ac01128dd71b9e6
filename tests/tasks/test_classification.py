"""SNLI-VE and NLVR2 from raw files to scores, on the demonstration's data and on real files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from mt_fairseq import ManagerTower, evaluate, predict
from mt_fairseq.errors import UserError
from tests.support import TINY, logged
from tests.tasks import rank
from tests.tasks.classification import (
    PICTURES,
    build,
    demonstration_bins,
    json_lines,
    score_csv,
)

STEPS = [
    *TINY, "--batch-size", 8, "--max-update", 3, "--warmup-updates", 1, "--num-workers", 0,
    "--required-batch-size-multiple", 1, "--no-epoch-checkpoints", "--log-format", "json",
    "--log-interval", 1, "--flip", "--color-ops", "--best-checkpoint-metric", "accuracy",
    "--maximize-best-checkpoint-metric",
]  # fmt: skip
EVALUATION = ["--batch-size", 8, "--num-workers", 0, "--log-format", "json"]


def chain(
    bins: dict[str, Path], folder: Path, train: list[str], split: str
) -> dict[str, dict[str, str]]:
    """fairseq-train, -validate and -generate of each task in one process; what each printed."""
    commands = {}
    for task, data in bins.items():
        checkpoint = folder / task / "checkpoint_best.pt"
        commands[f"{task} train"] = [
            "train", data, "--task", task, "--criterion", "classification", *STEPS, *train,
            "--save-dir", folder / task,
        ]  # fmt: skip
        commands[f"{task} validate"] = [
            "validate", data, "--task", task, "--path", checkpoint, "--valid-subset", split,
            *EVALUATION,
        ]  # fmt: skip
        commands[f"{task} generate"] = [
            "generate", data, "--task", task, "--path", checkpoint, "--gen-subset", split,
            "--scoring", "accuracy", "--nbest", 2, "--beam", 2, *EVALUATION,
        ]  # fmt: skip
    printed = rank.run(folder, commands)
    steps = ("train", "validate", "generate")
    return {task: {step: printed[f"{task} {step}"] for step in steps} for task in bins}


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return demonstration_bins(tmp_path_factory.mktemp("classification"))


@pytest.fixture(scope="module")
def outputs(
    bins: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("save")
    return folder, chain(bins, folder, ["--train-splits", "train,valid"], "test")


def results(bins: dict[str, Path], save: Path, task: str, split: str, out: Path) -> dict:
    """What ``evaluate`` writes as score.json."""
    code = evaluate.main(
        [str(save / task), str(bins[task]), "--split", split, "--out", str(out), "--cpu",
         "--num-workers", "0", "--batch-size", "16"]
    )  # fmt: skip
    assert code == 0
    return json.loads((out / "score.json").read_text())


@pytest.mark.parametrize("task", PICTURES)
def test_commands_agree(task: str, outputs, bins: dict[str, Path], tmp_path: Path) -> None:
    save, printed = outputs
    output = printed[task]
    assert all(float(x["loss"]) > 0 for x in logged(output["train"], "train_inner"))
    validated = logged(output["validate"], "test")[-1]
    generated = [x for x in output["generate"].splitlines() if x.startswith("Generate test")][-1]
    score = results(bins, save, task, "test", tmp_path / "out")
    assert float(validated["test_accuracy"]) == pytest.approx(score["score"], abs=1e-2)
    assert f"accuracy {score['score']:.2f} (95% CI " in generated
    assert f"over {score['scored']} samples" in generated
    assert len([x for x in output["generate"].splitlines() if x.startswith("H-")]) == (
        2 * score["scored"]
    )
    assert score["ci95"][0] <= score["score"] <= score["ci95"][1]


def test_entailment_writes_what_was_said(outputs, bins: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    score = results(bins, outputs[0], "snli_ve", "valid", out)
    raw = json_lines(bins["snli_ve"].parent / "raw" / "snli_ve" / "snli_ve_dev.jsonl")
    records = json_lines(out / "results.jsonl")
    assert [(r["id"], r["reference"]) for r in records] == [
        (x["pairID"], [x["gold_label"]]) for x in raw
    ]
    assert records[0]["text"] == raw[0]["sentence2"]
    right = [r["prediction"] == x["gold_label"] for r, x in zip(records, raw, strict=True)]
    assert [r["credit"] for r in records] == [float(value) for value in right]
    assert score["score"] == pytest.approx(100 * sum(right) / len(right))
    assert set(score["by_class"]) == {"contradiction", "neutral", "entailment"}
    assert all(sum(r["scores"]) == pytest.approx(1) and len(r["scores"]) == 3 for r in records)
    assert {path.name for path in out.iterdir()} == {
        "score.json", "results.jsonl", "generate-valid.txt"}  # fmt: skip


@pytest.mark.parametrize("split", ["test", "test-balanced"])
def test_pairs_are_scored_as_the_official_script_does(
    split: str, outputs, bins: dict[str, Path], tmp_path: Path
) -> None:
    names = {"test": "test1.json", "test-balanced": "balanced/balanced_test1.json"}
    score = results(bins, outputs[0], "nlvr2", split, tmp_path / "out")
    lines = json_lines(bins["nlvr2"].parent / "raw" / "nlvr2" / "data" / names[split])
    accuracy, consistency = score_csv(tmp_path / "out" / "nlvr2.csv", lines)
    assert score["score"] == pytest.approx(accuracy)
    assert score["consistency"] == pytest.approx(consistency)
    images = json_lines(tmp_path / "out" / "results.jsonl")[0]["image"]
    assert len(images) == 2 and images[0].endswith("img0.png") and images[1].endswith("img1.png")


@pytest.mark.parametrize("task", PICTURES)
def test_asked_one_by_one(
    task: str, outputs, bins: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``classify``, ``classify_pair`` and the command say what the evaluation says."""
    save, _ = outputs
    results(bins, save, task, "test", tmp_path / "out")
    records = json_lines(tmp_path / "out" / "results.jsonl")
    root = bins[task].parent / "raw" / PICTURES[task]
    pictures = [
        [root / name for name in ([x["image"]] if task == "snli_ve" else x["image"])]
        for x in records
    ]
    texts = [x["text"] for x in records]
    hub = ManagerTower.from_pretrained(save / task)
    ask = hub.classify if task == "snli_ve" else hub.classify_pair
    replies = ask(*map(list, zip(*pictures, strict=True)), texts)
    for reply, record in zip(replies, records, strict=True):
        assert [label for label, _ in reply] == record["answers"]
        # the data-bin holds smaller pictures, so resizing rounds otherwise
        assert [p for _, p in reply] == pytest.approx(record["scores"], abs=1e-3)
    alone = ask(*pictures[0], texts[0], topk=1)
    assert alone[0][0] == records[0]["prediction"]
    capsys.readouterr()
    shown = [option for path in pictures[0] for option in ("--image", str(path))]
    assert predict.main([str(save / task), *shown, "--text", texts[0], "--topk", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{', '.join(map(str, pictures[0]))}:",
        f"{alone[0][1]:8.4f}  {alone[0][0]}",
    ]


def test_a_pair_is_two_pictures(outputs, bins: dict[str, Path]) -> None:
    picture = next((bins["nlvr2"].parent / "raw" / "nlvr2").rglob("*.png"))
    save = str(outputs[0] / "nlvr2")
    with pytest.raises(UserError, match="1 images: this checkpoint takes two"):
        predict.main([save, "--image", str(picture), "--text", "a"])
    hub = ManagerTower.from_pretrained(save)
    with pytest.raises(UserError, match="1 left and 2 right images"):
        hub.classify_pair(picture, [picture] * 2, "a")
    with pytest.raises(UserError, match="task nlvr2 is not asked by classify: use classify_pair"):
        hub.classify(picture, "a")


@pytest.mark.slow
def test_real_files(shared_dir: Path, tmp_path: Path) -> None:
    """e-SNLI-VE's and NLVR2's own sentences; plain pictures stand in for the photographs."""
    from tests.preprocess.test_real_data import stand_in

    shared = shared_dir / "data"
    lines = [x for n in ("dev", "test1") for x in json_lines(shared / f"nlvr2/data/{n}.json")]
    stems = {line["identifier"].rpartition("-")[0] for line in lines}
    names = [f"{stem.split('-')[0]}/{stem}-img{side}.png" for stem in stems for side in (0, 1)]
    pairs = stand_in(tmp_path / "pairs", names)
    with open(shared / "esnlive/data/esnlive_dev.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[: 1 + 200]
    raw = tmp_path / "raw"
    raw.mkdir()
    with open(raw / "esnlive_dev.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    singles = stand_in(tmp_path / "singles", [row[2] for row in rows[1:]])
    bins = {
        "snli_ve": build("snli_ve", raw, singles, tmp_path / "snli_ve"),
        "nlvr2": build("nlvr2", shared / "nlvr2", pairs, tmp_path / "nlvr2"),
    }
    options = ["--train-splits", "valid", "--valid-subset", "valid"]
    printed = chain(bins, tmp_path / "save", options, "valid")
    assert "over 200 samples" in printed["snli_ve"]["generate"]
    assert "over 405 samples | consistency" in printed["nlvr2"]["generate"]
