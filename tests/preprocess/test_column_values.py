"""Values that no column holds are found before anything is written, whichever reader gave them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.datasets.registry import READERS, Reader, register_reader
from preprocess.records import BadRecord, Ragged, Record

from .raw import build, captions, save_picture, write_jsonl

GOOD: dict[str, Any] = {
    "where": "row", "sample_id": 1, "text": "a text", "images": ("0.jpg",), "label": "yes",
    "extra": {"number": 1, "weight": 0.5, "phrase": "p", "words": ["a"], "box": (0.0, 1.0),
              "size": (1, 2), "many": Ragged((1.0, 2.0))},
}  # fmt: skip
HALF = "\ud83d"


def _with(name: str, value: Any) -> dict[str, Any]:
    if name in GOOD["extra"]:
        return {**GOOD, "extra": {**GOOD["extra"], name: value}}
    return {**GOOD, name: value}


@pytest.fixture
def rows() -> Iterator[list[dict[str, Any]]]:
    """Rows that a reader `given` takes as they are; each is given an id of its own kind."""
    rows: list[dict[str, Any]] = []

    class Given(Reader):
        summary, layout = "given", "RAW/0.jpg"

        def splits(self) -> list[str]:
            return ["train"]

        def records(self, split: str) -> Iterator[Record | BadRecord]:
            return (Record(**row) for row in rows)

    register_reader("given")(Given)
    yield rows
    del READERS.entries["given"]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("sample_id", 2**63, "its id does not fit into 64 bits: 9223372036854775808"),
        ("sample_id", HALF, r"its id holds half a surrogate pair, .*: '\\ud83d'"),
        ("sample_id", True, "its id must be a whole number or text, not True"),
        ("sample_id", "x", "its id 'x' is of another kind than 1"),
        ("text", None, "its text must be text, not None"),
        ("text", f"a {HALF}", "its text holds half a surrogate pair"),
        ("images", (f"{HALF}.jpg",), "its images holds half a surrogate pair"),
        ("images", (None,), "its images must be a list of texts"),
        ("label", HALF, "its label holds half a surrogate pair"),
        ("label", 3, "its label must be text, not 3"),
        ("answers", ("red", HALF), "its answers holds half a surrogate pair"),
        ("majority", HALF, "its majority answer holds half a surrogate pair"),
        ("number", -(2**63) - 1, "its number does not fit into 64 bits"),
        pytest.param(
            "number", 10**5000, "its number does not fit into 64 bits: a huge number", id="huge"
        ),
        ("number", 1.0, "its number 1.0 is of another kind than 1"),
        ("weight", float("nan"), "its weight is not a finite number: nan"),
        ("weight", {"a": 1}, "its weight is neither text nor numbers: {'a': 1}"),
        ("phrase", HALF, "its phrase holds half a surrogate pair"),
        ("words", ["a", HALF], "its words holds half a surrogate pair"),
        ("words", ["a", 1], "its words is neither text nor numbers"),
        ("box", (0.0, float("inf")), "its box is not a finite number: inf"),
        ("box", (0.0, 1.0, 2.0), r"its box \(0.0, 1.0, 2.0\) is of another kind than"),
        ("size", (1, 2.5), r"its size \(1, 2.5\) is of another kind than \(1, 2\)"),
        ("many", Ragged((1.0, float("nan"))), "its many is not a finite number: nan"),
    ],
)
def test_found_before_packs_are_written(
    tmp_path: Path, rows: list[dict[str, Any]], name: str, value: Any, reason: str
) -> None:
    save_picture(tmp_path / "raw" / "0.jpg", 0)
    rows += [GOOD, {**_with(name, value), "where": "bad row"}]
    with pytest.raises(UserError, match=f"^bad row: {reason}"):
        build("given", tmp_path / "raw", tmp_path / "bin")
    assert not (tmp_path / "bin").exists()
    data = DataBin(build("given", tmp_path / "raw", tmp_path / "bin", "--on-error", "skip"))
    assert len(data.split("train")) == 1 and data.labels == ["yes"]


def test_largest_numbers_and_empty_lists(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    save_picture(tmp_path / "raw" / "0.jpg", 0)
    extra = {**GOOD["extra"], "number": 2**63 - 1, "words": [], "many": Ragged()}
    rows += [{**GOOD, "sample_id": -(2**63), "extra": extra}, GOOD]
    train = DataBin(build("given", tmp_path / "raw", tmp_path / "bin")).split("train")
    assert train.sample_id(0) == -(2**63) and train.value("number", 0) == 2**63 - 1
    assert train.value("words", 0) == [] and train.value("words", 1) == ["a"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": 2**63}, '"id" does not fit into 64 bits: 9223372036854775808'),
        ({"id": HALF}, '"id" holds half a surrogate pair'),
        ({"image": f"{HALF}.jpg"}, '"image" holds half a surrogate pair'),
        ({"label": HALF}, '"label" holds half a surrogate pair'),
    ],
)
def test_own_lines(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    kind = "x" if change.get("id") == HALF else ""
    rows = [{**row, "id": f"{kind}{i}" if kind else i, "label": "a"}
            for i, row in enumerate(captions(3))]  # fmt: skip
    raw = write_jsonl(tmp_path / "raw", rows)
    with open(raw / "train.jsonl", "a") as lines:
        lines.write(json.dumps({**rows[0], **change}) + "\n")
    with pytest.raises(UserError, match=f"^train.jsonl line 4: {reason}"):
        build("jsonl", raw, tmp_path / "bin")
    assert not (tmp_path / "bin").exists()
    data = DataBin(build("jsonl", raw, tmp_path / "bin", "--on-error", "skip"))
    assert len(data.split("train")) == 3 and data.labels == ["a"]
