"""What the classification tasks make of their options and data, and what they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import mt_fairseq.plugin  # noqa: F401  registers the tasks
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.tasks.labels import LabelTask
from mt_fairseq.tasks.nlvr2 import Nlvr2Config, Nlvr2Task
from mt_fairseq.tasks.snli_ve import SnliVeConfig, SnliVeTask
from mt_fairseq.tasks.vqa import VqaConfig, VqaTask
from tests.tasks.classification import demonstration_bins

KINDS: dict[str, tuple[type[LabelTask], type[Any]]] = {
    "snli_ve": (SnliVeTask, SnliVeConfig),
    "nlvr2": (Nlvr2Task, Nlvr2Config),
    "vqa": (VqaTask, VqaConfig),
}


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return demonstration_bins(tmp_path_factory.mktemp("labels"))


def task_on(name: str, data: Path, **options: Any) -> LabelTask:
    kind, config = KINDS[name]
    common = {"seed": 1, "train_subset": "train", "save_dir": str(data), "path": None}
    common |= {"restore_file": "checkpoint_last.pt", "finetune_from_model": None}
    cfg = config(**{"data": str(data), "image_size": "32", **common, **options})
    return kind.setup_task(cfg)


def train_set(task: LabelTask) -> Any:
    task.load_dataset("train")
    return task.datasets["train"]


def test_a_batch_of_pairs(bins: dict[str, Path]) -> None:
    dataset = train_set(task_on("nlvr2", bins["nlvr2"]))
    batch = dataset.collater([dataset[i] for i in (0, 1, 2)])
    assert batch["net_input"]["images"].shape == (3, 2, 3, 32, 32)
    assert batch["labels"].shape == (3,) and batch["labelled"] == 3
    names = DataBin(bins["nlvr2"]).labels
    assert [dataset.labels.string(row) for row in batch["target"]] == [
        names[label] for label in batch["labels"].tolist()
    ]


def test_both_pictures_of_a_pair_are_augmented_by_themselves(bins: dict[str, Path]) -> None:
    """The same picture on both sides comes out differently."""
    task = task_on("nlvr2", bins["nlvr2"], flip=True, color_ops=True)
    dataset = train_set(task)
    split = DataBin(bins["nlvr2"]).split("train")
    for index in range(4):
        number = int(split.images(index)[0])
        dataset.split.__dict__["images"] = lambda i, number=number: np.array([number, number])
        left, right = dataset[index]["images"]
        assert not left.equal(right)
        assert dataset[index]["images"][0].equal(left)  # the same draw every time
        del dataset.split.__dict__["images"]


def test_augmentation_is_for_training_alone(bins: dict[str, Path]) -> None:
    task = task_on("snli_ve", bins["snli_ve"], flip=True, color_ops=True)
    training, evaluation = task.build_transform(True), task.build_transform(False)
    assert training.flip and training.randaugment.color_ops
    assert type(evaluation).__name__ == "Square"
    plain = task_on("snli_ve", bins["snli_ve"]).build_transform(True)
    assert not plain.flip and not plain.randaugment.color_ops
    with pytest.raises(UserError, match="belong to 'augment'"):
        train_set(task_on("snli_ve", bins["snli_ve"], flip=True, train_transform="square"))


def test_training_splits_are_joined(bins: dict[str, Path]) -> None:
    data = DataBin(bins["snli_ve"])
    task = task_on("snli_ve", bins["snli_ve"], train_splits="train,valid")
    dataset = train_set(task)
    first = len(data.split("train"))
    assert len(dataset) == first + len(data.split("valid"))
    assert dataset.words(first).equal(data.split("valid").text(0))
    assert dataset[first]["label"] == data.split("valid").value("label", 0)
    task.load_dataset("valid")
    assert len(task.datasets["valid"]) == len(data.split("valid"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_splits": "train,"}, "--train-splits train,: give different names"),
        ({"train_splits": "train,train"}, "give different names"),
        ({"train_subset": "valid"}, "--train-subset valid: .* with --train-splits"),
        ({"train_splits": "train,dev"}, "has no split 'dev'; it has train, valid, test"),
    ],
)
def test_wrong_splits(options: dict[str, str], message: str, bins: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=message):
        train_set(task_on("snli_ve", bins["snli_ve"], **options))


def test_number_of_pictures(bins: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="split train has 1 image, one of task nlvr2 has 2 images"):
        train_set(task_on("nlvr2", bins["snli_ve"]))
    with pytest.raises(
        UserError, match="split train has 2 images, one of task snli_ve has 1 image"
    ):
        train_set(task_on("snli_ve", bins["nlvr2"]))


def without_labels(data: Path, copy: Path, split: str, rows: slice) -> Path:
    """The data-bin with labels of a split unknown."""
    shutil.copytree(data, copy)
    with h5py.File(copy / f"{split}.h5", "r+") as columns:
        columns["label"][rows] = -1
    return copy


def test_samples_without_a_label(bins: dict[str, Path], tmp_path: Path) -> None:
    some = without_labels(bins["snli_ve"], tmp_path / "some", "train", slice(0, 2))
    with pytest.raises(UserError, match=r"2 of the 60 samples of split train have no label; .*--t"):
        train_set(task_on("snli_ve", some))
    few = without_labels(bins["snli_ve"], tmp_path / "few", "valid", slice(1, None))
    task = task_on("snli_ve", few)
    task.load_dataset("valid")
    dataset = task.datasets["valid"]
    batch = dataset.collater([dataset[0], dataset[1]])
    assert batch["labels"][1] == -1 and batch["labelled"] == 1
    assert batch["target"][1].item() == dataset.labels.pad()
    none = without_labels(bins["snli_ve"], tmp_path / "none", "valid", slice(None))
    with pytest.raises(UserError, match=r"36 of the 36 samples of split valid .*--valid-subset"):
        task_on("snli_ve", none).load_dataset("valid")
    task_on("snli_ve", none).load_dataset("valid", task_cfg=object())  # to answer, none is needed


def test_data_of_another_kind(bins: dict[str, Path], vqa_bin: Path, caption_bin: Path) -> None:
    with pytest.raises(UserError, match=r"questions with answers, .*--task vqa"):
        train_set(task_on("snli_ve", vqa_bin))
    with pytest.raises(UserError, match=r"texts with one class each, .*--task snli_ve"):
        train_set(task_on("vqa", bins["snli_ve"]))
    with pytest.raises(UserError, match="has no answer classes"):
        task_on("nlvr2", caption_bin)


def test_classes_in_another_order_than_the_checkpoint_s(bins: dict[str, Path]) -> None:
    task = task_on("snli_ve", bins["snli_ve"])
    state = task.state_dict()
    assert state["labels"] == ["contradiction", "neutral", "entailment"]
    state["labels"] = state["labels"][::-1]
    with pytest.raises(UserError, match="answer classes are not the 3 of this checkpoint"):
        task.load_state_dict(state)
