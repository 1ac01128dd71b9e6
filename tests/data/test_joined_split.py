"""Several splits as one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.__main__ import main as preprocess
from tests import support


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataBin:
    folder = tmp_path_factory.mktemp("joined")
    raw = support.write_raw(folder / "raw", {"train": 3, "valid": 2})
    (raw / "test.jsonl").write_text(
        '{"image": "images/valid-0.png", "text": "what colour is this ?", "id": 7}\n'
    )
    (raw / "pairs.jsonl").write_text(
        '{"images": ["images/train-0.png", "images/train-1.png"], "text": "both are squares"}\n'
    )
    preprocess(
        ["jsonl", "--raw", str(raw), "--dest", str(folder / "bin"), "--vocab-size", "60",
         "--min-answer-count", "1", "--workers", "1"]
    )  # fmt: skip
    return DataBin(folder / "bin")


def test_rows_are_those_of_the_parts_in_order(data: DataBin) -> None:
    joined = data.split("valid,train")
    assert (len(joined), joined.name) == (5, "valid,train")
    rows = [(data.split(name), i) for name, n in (("valid", 2), ("train", 3)) for i in range(n)]
    for i, (part, row) in enumerate(rows):
        assert joined.text(i).equal(part.text(row))
        assert joined.images(i).tolist() == part.images(row).tolist()
        assert joined.sample_id(i) == part.sample_id(row)
        for column in part.columns:
            assert np.array_equal(joined.value(column, i), part.value(column, row))
    lengths = np.concatenate([data.split(name).text_lengths for name in ("valid", "train")])
    assert joined.text_lengths.tolist() == lengths.tolist()
    assert joined.array("label").tolist() == [part.value("label", row) for part, row in rows]
    with pytest.raises(IndexError):
        joined.text(5)


def test_columns_are_those_that_all_parts_have(data: DataBin) -> None:
    assert "labels" in data.split("train,valid").columns
    assert data.split("train,test").columns == []


def test_travels_to_the_workers_of_a_data_loader(data: DataBin) -> None:
    joined = data.split("train,valid")
    joined.image_column, joined.value("label", 0)  # opens files
    assert pickle.loads(pickle.dumps(joined)).text(4).equal(joined.text(4))


@pytest.mark.parametrize(
    ("names", "message"),
    [("train,trian", "has no split 'trian'; it has"), ("train,train", "named twice"),
     ("train,pairs", "differ in how many images")],
)  # fmt: skip
def test_what_cannot_be_joined(data: DataBin, names: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        data.split(names)
