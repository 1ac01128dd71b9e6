"""RefCOCO: expressions with boxes and proposals, from a pickle that may hold plain data only."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, digest, dump, save_picture

Change = Callable[[dict[str, Any]], Any]
REFS = "refs(unc).p"


def name_of(picture: int) -> str:
    return f"COCO_train2014_{picture:012d}.jpg"


def refs_of() -> list[dict[str, Any]]:
    """Two things on each of four pictures, one split a picture; two expressions each."""
    return [
        {"ref_id": 2 * i + j, "ann_id": 100 + 2 * i + j, "image_id": i, "category_id": 1,
         "split": split, "file_name": f"COCO_train2014_{i:012d}_{100 + 2 * i + j}.jpg",
         "sent_ids": [4 * i + 2 * j, 4 * i + 2 * j + 1],
         "sentences": [{"sent_id": 4 * i + 2 * j + k, "raw": f"Thing, {k}!", "tokens": [],
                        "sent": f"thing {j} of {i} again {k}"} for k in range(2)]}
        for i, split in enumerate(["train", "val", "testA", "testB"]) for j in range(2)
    ]  # fmt: skip


def write_refcoco(raw: Path) -> Path:
    """Pictures of at least 32 x 24 pixels; thing j has the box (j, 2, 5, 6.5)."""
    for i in range(4):
        save_picture(raw / "train2014" / name_of(i), i)
    sizes = [(24 + i, 32 + i) for i in range(4)]
    dump(raw / "instances.json", {
        "info": {}, "categories": [{"id": 1, "name": "thing"}],
        "images": [{"id": i, "file_name": name_of(i), "height": h, "width": w}
                   for i, (h, w) in enumerate(sizes)],
        "annotations": [{"id": 100 + 2 * i + j, "image_id": i, "category_id": 1,
                         "bbox": [float(j), 2.0, 5.0, 6.5]} for i in range(4) for j in range(2)],
    })  # fmt: skip
    (raw / REFS).write_bytes(pickle.dumps(refs_of(), protocol=2))
    return raw


def test_expressions_and_boxes(tmp_path: Path) -> None:
    data = DataBin(build("refcoco", write_refcoco(tmp_path / "raw"), tmp_path / "bin"))
    assert data.splits == ["train", "valid", "testA", "testB"]
    valid = data.split("valid")
    assert len(valid) == 4 and valid.sample_id(2) == 6
    assert data.dictionary.string(valid.text(2)) == "thing 1 of 1 again 0"
    assert valid.array("box").tolist() == [[0, 2, 5, 6.5]] * 2 + [[1, 2, 5, 6.5]] * 2
    assert valid.array("image_size").tolist() == [[25, 33]] * 4
    assert valid.array("ref_id").tolist() == [2, 2, 3, 3]
    assert data.images.key(int(valid.images(0)[0])) == f"train2014/{name_of(1)}"
    assert "proposals" not in valid.columns


def test_json_and_old_pickles_give_the_same(tmp_path: Path) -> None:
    raw = write_refcoco(tmp_path / "raw")
    plain = digest(build("refcoco", raw, tmp_path / "a"))
    # protocol 0 with byte strings, as Python 2 wrote them
    old = pickle.dumps(refs_of(), protocol=0).replace(b"Vsplit", b"S'split'")
    assert b"S'split'" in old
    (raw / REFS).write_bytes(old)
    assert digest(build("refcoco", raw, tmp_path / "b")) == plain
    (raw / REFS).unlink()
    dump(raw / "refs(unc).json", refs_of())
    assert digest(build("refcoco", raw, tmp_path / "c")) == plain


class Call:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("open('proof', 'w')",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps([Call()]), "builtins.exec"),
        (pickle.dumps([Path()]), "pathlib"),
        (pickle.dumps(refs_of())[:-40], "no pickle of plain lists"),
        (b"<html>404</html>", "no pickle of plain lists"),
        (b"\x80\x02]r\x00\x00\x00\x20.", "MemoryError"),  # remember 8 GB of objects
        (b"\x80\x02" + b"(" * 200_000 + b"l" * 200_000 + b".", "refs[0]: is not a JSON object"),
        (pickle.dumps({"a": 1}), "does not hold a list of references"),
    ],
)
def test_other_pickles_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = write_refcoco(tmp_path / "raw")
    (raw / REFS).write_bytes(content)
    with pytest.raises(UserError) as error:
        build("refcoco", raw, tmp_path / "bin")
    assert reason in str(error.value) and REFS in str(error.value)
    assert "\n" not in str(error.value) and not (tmp_path / "proof").exists()


def test_proposals(tmp_path: Path) -> None:
    raw = write_refcoco(tmp_path / "raw")
    boxes = {i: [[k, 0.5, 4, 4] for k in range(i)] for i in range(4)}
    by_picture = {str(i): [[*box, 0.9] for box in rows] for i, rows in boxes.items()}
    dump(raw / "dets.json", by_picture)
    plain = DataBin(build("refcoco", raw, tmp_path / "a"))
    assert plain.split("train").value("proposals", 0).tolist() == []
    found = plain.split("testA").value("proposals", 3)
    assert found.dtype == np.float32 and found.reshape(-1, 4).tolist() == boxes[2]
    assert plain.metadata["splits"]["testA"]["remark"] == "proposals: dets.json"
    listed = [{"image_id": i, "box": box, "score": 1} for i, rows in boxes.items() for box in rows]
    dump(tmp_path / "mattnet.json", listed)
    theirs = build("refcoco", raw, tmp_path / "b", "--proposals", tmp_path / "mattnet.json")
    with pytest.raises(UserError, match=r"begun with proposals mattnet\.json \(now dets\.json\)"):
        build("refcoco", raw, theirs, "--resume")
    assert str(tmp_path) not in (theirs / "metadata.json").read_text()
    found = DataBin(theirs).split("testB").value("proposals", 0)
    assert found.reshape(-1, 4).tolist() == boxes[3]
    annotated = build("refcoco", raw, tmp_path / "c", "--proposals", "ground-truth")
    found = DataBin(annotated).split("testA").value("proposals", 0)
    assert found.reshape(-1, 4).tolist() == [[0, 2, 5, 6.5], [1, 2, 5, 6.5]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"1": [[0, 0, 9, 99]]}, "ref 2: its proposal 0 in dets.json [0.0, 0.0, 9.0, 99.0] reaches "
         "out of the picture (33 x 25)"),
        ({"1": [[0, 0, 0, 5]]}, "ref 2: its proposal 0 in dets.json [0.0, 0.0, 0.0, 5.0] is empty"),
        ({"2": [[0, 0, 5, 5]]}, "ref 2: its picture 1 has no proposals in dets.json"),
        ({"1": [[0, 0, 5]]}, 'dets.json: picture 1: "box" is not a box of four numbers: [0, 0, 5]'),
        ([{"image_id": 1}], 'dets.json: detections[0]: lacks "box"'),
        (3, "dets.json: neither an object nor a list"),
    ],
)  # fmt: skip
def test_bad_proposals(tmp_path: Path, content: Any, reason: str) -> None:
    raw = write_refcoco(tmp_path / "raw")
    dump(raw / "dets.json", content)
    with pytest.raises(UserError) as error:
        build("refcoco", raw, tmp_path / "bin", "--splits", "valid")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason", "left"),
    [
        (lambda ref: ref.update(split="test"), "refs[1]: unknown split 'test'", 2),
        (lambda ref: ref.update(ann_id=1), "ref 1: its annotation 1 is not in instances.json", 2),
        (lambda ref: ref.update(ann_id=103), "ref 1: its annotation 103 is of picture 1, not 0", 2),
        (lambda ref: ref.update(image_id=9), "ref 1: its picture 9 is not in instances.json", 2),
        (lambda ref: ref.update(image_id=[9]), 'refs[1]: "image_id" is not a whole number: [9]', 2),
        (lambda ref: ref.update(sentences=[]), "refs[1]: has no sentences", 2),
        (lambda ref: ref.pop("ann_id"), 'refs[1]: lacks "ann_id"', 2),
        (lambda ref: ref["sentences"][0].update(sent_id=0), "sentence 0: its id 0 was taken", 3),
        (lambda ref: ref["sentences"][0].update(sent=""), "sentence 2: its text is empty", 3),
    ],
)
def test_bad_reference(tmp_path: Path, change: Change, reason: str, left: int) -> None:
    raw = write_refcoco(tmp_path / "raw")
    refs = refs_of()
    change(refs[1])
    (raw / REFS).write_bytes(pickle.dumps(refs))
    with pytest.raises(UserError) as error:
        build("refcoco", raw, tmp_path / "bin")
    assert reason in str(error.value)
    data = DataBin(build("refcoco", raw, tmp_path / "bin", "--on-error", "skip"))
    skipped = data.metadata["splits"]["train"]["skipped"]
    assert reason in f"{skipped[0]['record']}: {skipped[0]['reason']}"
    assert len(data.split("train")) == left


def test_box_outside_and_missing_files(tmp_path: Path) -> None:
    raw = write_refcoco(tmp_path / "raw")
    content = json.loads((raw / "instances.json").read_text())
    content["annotations"][0]["bbox"] = [30.0, 2.0, 5.0, 5.0]
    dump(raw / "instances.json", content)
    with pytest.raises(UserError, match=r"ref 0: its box .* reaches out of the picture \(32 x 24"):
        build("refcoco", raw, tmp_path / "bin")
    (raw / "instances.json").unlink()
    with pytest.raises(UserError, match=r"instances\.json: missing"):
        build("refcoco", raw, tmp_path / "bin")
    with pytest.raises(UserError, match=r"no files of split 'test' in .*there are train, valid"):
        build("refcoco", raw, tmp_path / "bin", "--splits", "test")
    (raw / REFS).unlink()
    with pytest.raises(UserError, match=r"none of the expected files is there \(RAW/refs"):
        build("refcoco", raw, tmp_path / "bin")
