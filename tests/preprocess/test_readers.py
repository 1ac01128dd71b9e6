"""Each reader's records end in the data-bin as they should."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fairseq.data import Dictionary, data_utils

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.answer_list import read_answer_list
from preprocess.datasets.registry import READERS, Reader, register_reader
from preprocess.records import BadRecord, Record

from .raw import build, captions, dump, save_picture, write_jsonl, write_vqa


def test_vqav2(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw")
    data = DataBin(build("vqav2", raw, tmp_path / "bin", "--min-answer-count", 3))
    assert data.splits == ["train", "valid", "test", "testdev"]
    assert data.labels == ["red", "green", "blue", "yellow"]
    train = data.split("train")
    assert len(train) == 36 and len(data.images) == 12 + 4 + 4
    assert train.sample_id(4) == 1001
    assert data.dictionary.string(train.text(4)) == "What colour is thing 1, number 1?"
    assert data.images.key(int(train.images(4)[0])) == "train2014/COCO_train2014_000000000001.jpg"
    assert train.value("label", 4) == 2
    assert train.value("labels", 4).tolist() == [2]
    assert train.value("scores", 4).tolist() == [1.0] and train.value("scores", 4).dtype == "f4"
    assert train.value("answers", 4)[-3:] == ["not sure", "none", "BLUE"]
    assert train.value("question_type", 4) == "what colour"
    assert train.value("image_id", 4) == 1
    test = data.split("test")
    assert test.columns == ["image_id"] and len(test) == 12
    with pytest.raises(UserError, match="no column 'label'"):
        test.value("label", 0)


def test_pictures_of_test_and_testdev_are_stored_once(tmp_path: Path) -> None:
    data = DataBin(build("vqav2", write_vqa(tmp_path / "raw"), tmp_path / "bin",
                         "--min-answer-count", 1, "--splits", "test,testdev"))  # fmt: skip
    assert len(data.images) == 4
    assert data.split("testdev").images(0) == data.split("test").images(0)


def test_pictures_that_no_question_needs_are_left_out(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", images=3, test=False)
    save_picture(raw / "train2014" / "COCO_train2014_000000000999.jpg", 1)
    assert len(DataBin(build("vqav2", raw, tmp_path / "bin", "--min-answer-count", 1)).images) == 4


def test_annotations_in_another_order(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    plain = DataBin(build("vqav2", raw, tmp_path / "a", "--min-answer-count", 1))
    path = raw / "v2_mscoco_train2014_annotations.json"
    rows = json.loads(path.read_text())["annotations"]
    dump(path, {"info": {"deep": [1, [2]]}, "annotations": rows[::-1]})
    turned = DataBin(build("vqav2", raw, tmp_path / "b", "--min-answer-count", 1))
    for i in range(36):
        assert (turned.split("train").value("answers", i)
                == plain.split("train").value("answers", i))  # fmt: skip


def test_answer_list_keeps_the_empty_class(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", images=3, test=False)
    for name, text in {
        "a.json": '["", "blue", "red"]',
        "b.json": '{"blue": 1, "": 0, "red": 2}',
        "c.txt": "\nblue\nred\n",
    }.items():
        (tmp_path / name).write_text(text)
        data = DataBin(build("vqav2", raw, tmp_path / f"bin-{name}",
                             "--answer-list", tmp_path / name))  # fmt: skip
        assert data.labels == ["", "blue", "red"]
        assert data.split("train").value("label", 0) == 2
        assert data.split("train").value("label", 1) == -1  # green is no class
        assert data.split("train").value("labels", 1).tolist() == []
        assert data.metadata["splits"]["train"]["without_known_answer"] > 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"Blue\nThe Red\n"),
        ("a.txt", b"\xef\xbb\xbfblue\r\nred\r\n"),
        ("a.json", b'\xef\xbb\xbf["BLUE", " red "]'),
        ("a.json", b'{"RED": 1, "Blue": 0}'),
    ],
)
def test_answer_list_is_normalised(tmp_path: Path, name: str, content: bytes) -> None:
    """So that its spelling, or a byte-order mark, takes no class from a question."""
    raw = write_vqa(tmp_path / "raw", images=3, test=False)
    (tmp_path / name).write_bytes(content)
    data = DataBin(build("vqav2", raw, tmp_path / "bin", "--answer-list", tmp_path / name))
    assert data.labels == ["blue", "red"]
    assert data.split("train").value("label", 0) == 1
    assert data.split("train").value("labels", 0).tolist() == [1]


def test_the_usual_answers_are_kept_as_they_are(shared_dir: Path) -> None:
    """3,129 classes, the empty string first."""
    folder = shared_dir / "data" / "vqav2_answers"
    answers = json.loads((folder / "trainval_label2ans.json").read_text())
    for name in ("trainval_label2ans.json", "trainval_ans2label.json"):
        assert read_answer_list(folder / name) == answers
    assert answers[0] == "" and len(answers) == 3129


def karpathy(raw: Path) -> Path:
    images = []
    for i, split in enumerate(["train", "restval", "val", "test", "train"]):
        save_picture(raw / "val2014" / f"COCO_val2014_{i:012d}.jpg", i)
        sentences = [{"raw": f"Caption {j} of picture {i}.", "sentid": 10 * i + j, "tokens": []}
                     for j in range(5 + (i == 0))]  # fmt: skip
        name = f"COCO_val2014_{i:012d}.jpg"
        images.append({"filepath": "val2014", "filename": name, "split": split, "cocoid": i,
                       "imgid": 0, "sentences": sentences})  # fmt: skip
    dump(raw / "karpathy" / "dataset_coco.json", {"images": images, "dataset": "coco"})
    return raw


def test_coco_karpathy_keeps_all_captions(tmp_path: Path) -> None:
    data = DataBin(build("coco", karpathy(tmp_path / "raw"), tmp_path / "bin"))
    assert {name: len(data.split(name)) for name in data.splits} == {
        "train": 16, "valid": 5, "test": 5}  # fmt: skip
    groups = [data.split("train").value("image_id", i) for i in range(16)]
    assert groups == [0] * 6 + [1] * 5 + [4] * 5
    assert data.dictionary.string(data.split("test").text(2)) == "Caption 2 of picture 3."
    assert len(data.images) == 5 and data.labels is None


def official(raw: Path, subset: str = "train2014") -> Path:
    images = [{"id": i, "file_name": f"COCO_{subset}_{i:012d}.jpg"} for i in range(3)]
    for i, image in enumerate(images):
        save_picture(raw / subset / str(image["file_name"]), i)
    rows = [{"id": k, "image_id": k % 3, "caption": f"Number {k}."} for k in range(7)]
    dump(raw / "annotations" / f"captions_{subset}.json", {"images": images, "annotations": rows})
    return raw


def test_coco_official(tmp_path: Path) -> None:
    raw = official(official(tmp_path / "raw"), "val2014")
    data = DataBin(build("coco", raw, tmp_path / "bin"))
    assert data.splits == ["train", "valid"] and len(data.images) == 6
    assert data.split("train").sample_id(4) == 4
    key = data.images.key(int(data.split("valid").images(4)[0]))
    assert key == "val2014/COCO_val2014_000000000001.jpg"


def test_jsonl_kinds(tmp_path: Path) -> None:
    rows = [{"images": ["a/1.jpg", "2.jpg"], "text": "Wörter 狮 😀", "label": True, "id": "x"},
            {"images": ["2.jpg", "2.jpg"], "text": "again", "label": False, "id": "y"}]  # fmt: skip
    data = DataBin(build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin"))
    train = data.split("train")
    assert data.labels == ["false", "true"]
    assert train.image_column.tolist() == [[0, 1], [1, 1]] and len(data.images) == 2
    assert train.sample_id(0) == "x" and train.value("label", 0) == 1
    assert data.dictionary.string(train.text(0)) == "Wörter 狮 😀"


def test_jsonl_single_answer_counts_as_agreement(tmp_path: Path) -> None:
    rows = [{**row, "answers": [row["text"].split()[1]]} for row in captions(8)]
    rows[0]["answers"] = ["red", "Red.", "blue"]
    raw = write_jsonl(tmp_path / "raw", rows)
    data = DataBin(build("jsonl", raw, tmp_path / "bin", "--min-answer-count", 1))
    train = data.split("train")
    assert train.value("scores", 1).tolist() == [1.0] and len(train.value("answers", 1)) == 10
    np.testing.assert_allclose(train.value("scores", 0), [0.6, 0.3])
    assert data.labels is not None and data.labels[train.value("label", 0)] == "red"


def test_jsonl_split_names(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(3))
    for name in ("val", "test", "extra"):
        (raw / f"{name}.jsonl").write_text((raw / "train.jsonl").read_text())
    data = DataBin(build("jsonl", raw, tmp_path / "bin"))
    assert data.splits == ["train", "valid", "test", "extra"]
    with pytest.raises(UserError, match="has no split 'dev'; it has train, valid"):
        data.split("dev")


def test_fairseq_reads_the_text(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(20))
    data = DataBin(build("jsonl", raw, tmp_path / "bin"))
    theirs = data_utils.load_indexed_dataset(str(data.path / "train.text"), data.dictionary)
    ours = data.split("train")
    assert len(theirs) == len(ours) == 20
    assert all(theirs[i].equal(ours.text(i)) for i in range(20))
    np.testing.assert_array_equal(theirs.sizes, ours.text_lengths)
    dictionary = Dictionary.load(str(data.path / "dict.txt"))
    assert dictionary.symbols == data.dictionary.symbols
    assert dictionary.indices == data.dictionary.indices


def test_a_reader_with_boxes_fits(tmp_path: Path) -> None:
    """Later datasets bring boxes, groups and fixed classes through the same door."""

    class Boxes(Reader):
        summary, layout = "boxes", "RAW/0.jpg"

        def splits(self) -> list[str]:
            return ["train"]

        def classes(self) -> list[str]:
            return ["no", "maybe", "yes"]

        def records(self, split: str) -> Iterator[Record | BadRecord]:
            for i in range(3):
                extra = {"box": (i, 1.5, 2.0, 3.0), "group": i, "words": ["a"] * i + ["b"],
                         "weight": 0.5, "phrase": f"p{i}"}  # fmt: skip
                yield Record(f"box {i}", i, "text", ("0.jpg",), label="yes", extra=extra)

    register_reader("boxes")(Boxes)
    try:
        with pytest.raises(UserError, match="there is a reader 'boxes' already"):
            register_reader("boxes")(Boxes)
        save_picture(tmp_path / "raw" / "0.jpg", 0)
        split = DataBin(build("boxes", tmp_path / "raw", tmp_path / "bin")).split("train")
    finally:
        del READERS.entries["boxes"]
    assert split.array("box").shape == (3, 4)
    assert split.value("box", 2).tolist() == [2.0, 1.5, 2.0, 3.0]
    assert split.value("words", 2) == ["a", "a", "b"]
    assert split.value("weight", 0) == 0.5 and split.value("phrase", 1) == "p1"
    assert split.value("label", 0) == 2


def test_reader_needs_folders(tmp_path: Path) -> None:
    args = argparse.Namespace(image_root=str(tmp_path / "none"), captions="auto")
    with pytest.raises(UserError, match="no such folder"):
        READERS["coco"](tmp_path, args)
