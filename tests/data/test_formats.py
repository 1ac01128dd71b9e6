"""Token files, columns and files, apart from a whole data-bin."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from fairseq.data import indexed_dataset

from mt_fairseq.data.column_buffers import NumberBuffer, RaggedColumn, TextColumn, TextsColumn
from mt_fairseq.data.columns import ColumnFile, write_columns
from mt_fairseq.data.files import atomic_file, read_json
from mt_fairseq.data.token_file import TokenFile, TokenWriter
from mt_fairseq.errors import UserError


def write_tokens(folder: Path, texts: list[list[int]], symbols: int) -> Path:
    with open(folder / "x.text.bin", "wb") as stream:
        writer = TokenWriter(stream, symbols)
        for text in texts:
            writer.add(text)
    writer.write_index(folder / "x.text.idx")
    return folder / "x.text"


@pytest.mark.parametrize("symbols", [100, 70_000])
def test_tokens_as_fairseq_reads_them(tmp_path: Path, symbols: int) -> None:
    texts = [[1, 2, symbols - 1], [], [5], list(range(90))]
    prefix = write_tokens(tmp_path, texts, symbols)
    theirs = indexed_dataset.MMapIndexedDataset(str(prefix))
    ours = pickle.loads(pickle.dumps(TokenFile(prefix)))
    assert [theirs[i].tolist() for i in range(4)] == texts
    assert [ours.tensor(i).tolist() for i in range(4)] == texts
    assert ours.tensor(0).dtype == theirs[0].dtype
    assert ours.sizes.tolist() == [3, 0, 1, 90] and len(ours) == 4


def test_damaged_token_files(tmp_path: Path) -> None:
    prefix = write_tokens(tmp_path, [[1, 2, 3]], 100)
    content = tmp_path / "x.text.bin"
    content.write_bytes(content.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"x\.text\.bin: the file is cut off"):
        len(TokenFile(prefix))
    (tmp_path / "x.text.idx").write_bytes(b"MMIDIDX")
    with pytest.raises(UserError, match="not an index"):
        len(TokenFile(prefix))
    content.unlink()
    with pytest.raises(UserError, match="missing"):
        len(TokenFile(prefix))


def test_columns_of_every_kind(tmp_path: Path) -> None:
    boxes, words = NumberBuffer("d", 4), TextsColumn()
    names, scores, groups = TextColumn(), RaggedColumn(np.float32), NumberBuffer("q")
    for i in range(3):
        boxes.add([i, 1.5, 2, 3])
        words.add(["ä"] * i)
        names.add("狮" * i)
        scores.add(np.arange(i) / 4)
        groups.add(-i)
    write_columns(tmp_path / "c.h5", {"boxes": boxes, "words": words, "names": names,
                                      "scores": scores, "groups": groups})  # fmt: skip
    file = ColumnFile(tmp_path / "c.h5")
    assert file.columns["boxes"][2].tolist() == [2, 1.5, 2, 3]  # type: ignore[union-attr]
    file = pickle.loads(pickle.dumps(file))
    assert [file.columns["words"][i] for i in range(3)] == [[], ["ä"], ["ä", "ä"]]
    assert [file.columns["names"][i] for i in range(3)] == ["", "狮", "狮狮"]
    assert file.columns["scores"][2].tolist() == [0, 0.25]  # type: ignore[union-attr]
    assert file.columns["groups"][1] == -1 and len(file.columns["names"]) == 3
    with pytest.raises(IndexError):
        file.columns["groups"][3]
    with h5py.File(tmp_path / "c.h5") as raw:
        assert raw["scores/values"].dtype == np.float32


def test_rows_of_one_length(tmp_path: Path) -> None:
    boxes = NumberBuffer("d", 4)
    with pytest.raises(UserError, match="row of 3 numbers"):
        boxes.add([1, 2, 3])


def test_atomic_file_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_file(tmp_path / "a") as stream:
        stream.write(b"half")
        raise RuntimeError("stop")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_read_json_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(UserError, match=r"a\.json: not valid JSON \(line 2"):
        read_json(tmp_path / "a.json")
