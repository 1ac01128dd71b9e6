"""Pre-training, VQA and retrieval: preprocess -> train -> validate -> generate, each a command.

On the demonstration's data and on real files; SNLI-VE and NLVR2: test_classification.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.demo.world.write import WorldConfig, write_world
from mt_fairseq.data.data_bin import DataBin
from preprocess.__main__ import main as preprocess
from tests.support import TINY, logged
from tests.tasks import rank

COMMON = ["--batch-size", 8, "--num-workers", 0, "--log-format", "json"]
STEPS = [
    *TINY, *COMMON, "--max-update", 3, "--warmup-updates", 1, "--no-epoch-checkpoints",
    "--required-batch-size-multiple", 1,
]  # fmt: skip
OPTIONS = {
    "pretraining": ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm"],
    "vqa": ["--task", "vqa", "--criterion", "vqa"],
    "retrieval": ["--task", "retrieval", "--criterion", "itc_itm", "--global-negatives",
                  "--retrieval-topk", 4],
}  # fmt: skip
SCORING = {"vqa": ["vqa_accuracy"], "retrieval": ["recall", "--nbest", 4, "--beam", 4]}


@dataclass(frozen=True)
class Data:
    """Data-bin of each task, and the split on which it is validated and asked."""

    bins: dict[str, Path]
    splits: dict[str, str]


def build(dataset: str, raw: Path, dest: Path, *options: object) -> Path:
    arguments = ["--raw", raw, "--dest", dest, "--resize", 32, "--workers", 1, *options]
    preprocess([dataset, *map(str, arguments)])
    return dest


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("demonstration")
    raw = folder / "raw"
    datasets = ("coco", "vqav2", "flickr30k")
    write_world(raw, WorldConfig(seed=3, train=24, held_out=12, datasets=datasets), lambda *_: None)
    captions = build("coco", raw / "coco", folder / "coco", "--vocab-size", 100)
    same = ["--tokenizer", captions]
    bins = {
        "pretraining": captions,
        "vqa": build("vqav2", raw / "vqav2", folder / "vqa", "--image-root", raw / "coco",
                     "--min-answer-count", 1, *same),
        "retrieval": build("flickr30k", raw / "flickr30k", folder / "flickr30k", *same),
    }  # fmt: skip
    return Data(bins, {"pretraining": "valid", "vqa": "valid", "retrieval": "test"})


@pytest.fixture(scope="module")
def real(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """COCO's photographs and captions, and the questions of VQA v2 whose photograph is there."""
    folder, shared = tmp_path_factory.mktemp("real"), shared_dir / "data"
    captions = build("coco", shared / "coco", folder / "coco", "--vocab-size", 500)
    questions = build(
        "vqav2", shared / "vqav2", folder / "vqa", "--image-root", shared / "coco",
        "--answer-list", shared / "vqav2_answers" / "trainval_ans2label.json",
        "--tokenizer", captions, "--on-error", "skip",
    )  # fmt: skip
    bins = {"pretraining": captions, "vqa": questions, "retrieval": captions}
    return Data(bins, {"pretraining": "valid", "vqa": "train", "retrieval": "valid"})


def chain(data: Data, folder: Path) -> dict[str, str]:
    """What each command printed, by task and step; both tasks start from the pre-trained model."""
    commands: dict[str, Sequence[object]] = {}
    for task, data_bin in data.bins.items():
        last, split = folder / task / "checkpoint_last.pt", data.splits[task]
        start = folder / "pretraining" / "checkpoint_last.pt"
        commands[f"{task} train"] = [
            "train", data_bin, *OPTIONS[task], *STEPS, "--save-dir", folder / task,
            *(["--valid-subset", split] if split != "train" else ["--disable-validation"]),
            *(["--finetune-from-model", start] if task != "pretraining" else []),
        ]  # fmt: skip
        kind = OPTIONS[task][:2]
        commands[f"{task} validate"] = [
            "validate", data_bin, *kind, "--path", last, "--valid-subset", split, *COMMON,
        ]  # fmt: skip
        if task in SCORING:
            commands[f"{task} generate"] = [
                "generate", data_bin, *kind, "--path", last, "--gen-subset", split, *COMMON,
                "--scoring", *SCORING[task],
            ]  # fmt: skip
    return rank.run(folder / "commands", commands)


def answered(printed: str) -> int:
    """Samples with a best answer."""
    return sum(line.startswith("D-") for line in printed.splitlines())


def check(data: Data, printed: dict[str, str]) -> None:
    for task, split in data.splits.items():
        (validated,) = logged(printed[f"{task} validate"], split)
        count = len(DataBin(data.bins[task]).split(split))
        assert int(validated[f"{split}_nsentences"]) == count
        if split != "train":
            trained = logged(printed[f"{task} train"], split)[-1]
            name = f"{split}_loss"
            assert float(validated[name]) == pytest.approx(float(trained[name]), abs=2e-3)
    questions = len(DataBin(data.bins["vqa"]).split(data.splits["vqa"]))
    assert f"over {questions} questions" in printed["vqa generate"]
    split = DataBin(data.bins["retrieval"]).split(data.splits["retrieval"])
    queries = len(split) + len({int(image) for image in split.image_column[:, 0]})
    assert f"over {queries} queries" in printed["retrieval generate"]
    assert "4 most similar items again" in printed["retrieval generate"]  # from the checkpoint
    assert answered(printed["retrieval generate"]) == 4 * queries
    assert answered(printed["vqa generate"]) >= questions


def test_demonstration(demonstration: Data, tmp_path: Path) -> None:
    check(demonstration, chain(demonstration, tmp_path))


@pytest.mark.slow
def test_real_files(real: Data, tmp_path: Path) -> None:
    check(real, chain(real, tmp_path))
