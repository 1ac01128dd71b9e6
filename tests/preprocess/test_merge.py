"""Joined data-bins: same samples, linked packs, and one line for every mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairseq.data import data_utils

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.split import Split
from mt_fairseq.errors import UserError
from preprocess.__main__ import main

from .raw import build, captions, digest, write_jsonl, write_vqa
from .raw_tasks import write_flickr30k, write_nlvr2
from .test_visual_genome import write_vg


def merge(*arguments: object) -> None:
    main(["merge", *map(str, arguments)])


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """flickr (train, valid, test), vg (train) and own (train), with one tokenizer."""
    root = tmp_path_factory.mktemp("bins")
    raw = root / "raw"
    build("flickr30k", write_flickr30k(raw / "flickr"), root / "flickr", "--images-per-pack", 4)
    same = ("--tokenizer", root / "flickr")
    build("vg", write_vg(raw / "vg"), root / "vg", *same)
    rows = [{**row, "image": f"{i}.jpg", "label": "a"} for i, row in enumerate(captions(3))]
    build("jsonl", write_jsonl(raw / "own", rows), root / "own", *same, "--store", "pixels")
    return root


@pytest.fixture
def joined(bins: Path, tmp_path: Path) -> Path:
    """The three as one, in a copy that a test may damage."""
    for name in ("flickr", "vg", "own"):
        shutil.copytree(bins / name, tmp_path / name)
    merge("--dest", tmp_path / "all", *(tmp_path / name for name in ("flickr", "vg", "own")))
    return tmp_path / "all"


def sample(data: DataBin, split: Split, i: int) -> tuple[Any, ...]:
    pictures = [data.images.raw(int(j)) for j in split.images(i)]
    return data.dictionary.string(split.text(i)), pictures


def test_samples_are_those_of_the_parts(joined: Path) -> None:
    data = DataBin(joined)
    parts = {name: DataBin(joined.parent / name) for name in ("flickr", "vg", "own")}
    train = data.split("train")
    at = 0
    for name, part in parts.items():
        theirs = part.split("train")
        for i in range(len(theirs)):
            assert sample(data, train, at) == sample(part, theirs, i)
            assert train.sample_id(at) == f"{name}/{theirs.sample_id(i)}"
            key = part.images.key(int(theirs.images(i)[0]))
            assert data.images.key(int(train.images(at)[0])) == f"{name}/{key}"
            at += 1
    assert at == len(train) == 16 + 5 + 3
    # groups of different data-bins have the same numbers: the picture's index takes their place
    assert train.array("image_id").tolist() == train.image_column.ravel().tolist()
    assert len(data.images) == 6 + 3 + 3 and train.columns == ["image_id"]
    assert data.images.image(11).size == parts["own"].images.image(2).size


def test_a_split_of_one_keeps_its_ids_and_columns(joined: Path) -> None:
    data, flickr = DataBin(joined), DataBin(joined.parent / "flickr")
    for i in range(10):
        ours, theirs = data.split("valid"), flickr.split("valid")
        assert ours.sample_id(i) == theirs.sample_id(i)
        assert ours.value("image_id", i) == theirs.value("image_id", i)
        assert sample(data, ours, i) == sample(flickr, theirs, i)


def test_nothing_is_copied_and_fairseq_reads_the_text(joined: Path) -> None:
    packs = sorted((joined / "images").iterdir())
    assert len(packs) == 2 + 1 + 1 and all(pack.is_symlink() for pack in packs)
    assert [pack.readlink().as_posix() for pack in packs][2] == "../../vg/images/00000.h5"
    data = DataBin(joined)
    theirs = data_utils.load_indexed_dataset(str(joined / "train.text"), data.dictionary)
    assert all(theirs[i].equal(data.split("train").text(i)) for i in range(24))
    np.testing.assert_array_equal(theirs.sizes, data.split("train").text_lengths)


def test_what_metadata_and_inspect_say(joined: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = DataBin(joined).metadata
    assert about["sources"] == {"flickr": "flickr30k", "vg": "vg", "own": "jsonl"}
    assert about["images"]["encoding"] == "mixed" and about["labels"] == 1
    train = about["splits"]["train"]
    assert (train["samples"], train["images"]) == (24, 3 + 3 + 3)
    assert train["remark"] == (
        "vg: 2 repeated descriptions of the same picture taken once; "
        "not all have the columns label, so they are left out"
    )
    main(["inspect", str(joined), "--sample", "4", "--out", str(joined.parent / "page.html")])
    out = capsys.readouterr().out
    assert "joined from: flickr (flickr30k), vg (vg), own (jsonl)" in out
    assert "12 images agree" in out


def test_the_whole_tree_may_move(joined: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    for name in ("all", "flickr", "vg", "own"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    main(["inspect", str(tmp_path / "moved" / "all")])


def test_a_moved_or_changed_part_is_one_line(joined: Path) -> None:
    part = joined.parent / "vg"
    part.rename(joined.parent / "elsewhere")
    message = r"00002\.h5: the pack that it links to is gone \(.*vg/images/00000\.h5\); put that"
    with pytest.raises(UserError, match=message):
        _ = DataBin(joined).images
    with pytest.raises(UserError, match=message):
        main(["inspect", str(joined)])
    (joined.parent / "elsewhere").rename(part)
    pack = part / "images" / "00000.h5"
    content = pack.read_bytes()
    pack.write_bytes(content + b"x")
    with pytest.raises(UserError, match=r"was changed \(.*\); merge again"):
        _ = DataBin(joined).images
    pack.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"images/00002\.h5: its checksum differs"):
        main(["inspect", str(joined)])


def test_a_merge_of_a_merge_links_to_the_packs(joined: Path, tmp_path: Path) -> None:
    dest = tmp_path / "twice"
    merge("--dest", dest, f"three={joined}", f"again={joined.parent / 'vg'}")
    data = DataBin(dest)
    assert data.images.key(6) == "three/vg/1.jpg" and data.images.key(12) == "again/1.jpg"
    assert data.split("train").sample_id(24) == "again/100"
    shutil.rmtree(joined)
    main(["inspect", str(dest)])


def test_chosen_splits_and_overwriting(bins: Path, tmp_path: Path) -> None:
    dest, parts = tmp_path / "all", (bins / "flickr", bins / "vg")
    merge("--dest", dest, "--splits", "valid", *parts)
    assert DataBin(dest).splits == ["valid"]
    with pytest.raises(UserError, match="exists; --overwrite replaces it"):
        merge("--dest", dest, *parts)
    merge("--dest", dest, "--overwrite", *parts)
    first = digest(dest)
    assert DataBin(dest).splits == ["train", "valid", "test"]
    merge("--dest", dest, "--overwrite", *parts)
    assert digest(dest) == first
    with pytest.raises(UserError, match="no data-bin has split 'dev'; there are train, valid"):
        merge("--dest", dest, "--overwrite", "--splits", "dev", *parts)
    assert digest(dest) == first and list(tmp_path.iterdir()) == [dest]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{0}/flickr"], "merge needs two data-bins or more"),
        (["{0}/flickr", "{0}/flickr/"], "flickr: named twice"),
        (["{0}/flickr", "flickr={0}/vg"], "are both called 'flickr', .*: NAME="),
        (["{0}/flickr", "a/b={0}/vg"], "write NAME=FOLDER, with a name without `/`"),
        (["{0}/flickr", "{0}/none"], "none: there is no such data-bin"),
        (["{0}/flickr", "{0}/raw"], r"raw: no data-bin \(it has no metadata.json\)"),
    ],
)
def test_bad_sources(bins: Path, tmp_path: Path, arguments: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        merge("--dest", tmp_path / "all", *(text.format(bins) for text in arguments))
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_together(bins: Path, tmp_path: Path) -> None:
    dest, flickr = tmp_path / "all", bins / "flickr"
    other = build("vg", bins / "raw" / "vg", tmp_path / "other", "--vocab-size", 40)
    with pytest.raises(
        UserError, match=r"other: its tokenizer is not that of .*--tokenizer .*flic"
    ):
        merge("--dest", dest, flickr, other)
    pairs = build("nlvr2", write_nlvr2(tmp_path / "raw"), tmp_path / "pairs", "--tokenizer", flickr)
    with pytest.raises(
        UserError, match=r"pairs: split 'train' has 2 pictures a sample, .*--splits"
    ):
        merge("--dest", dest, flickr, pairs)
    with pytest.raises(UserError, match=r"own: its classes are not those of .*--answer-list"):
        merge("--dest", dest, pairs, bins / "own", "--splits", "test")
    with pytest.raises(UserError, match="is one of the data-bins to merge"):
        merge("--dest", flickr, "--overwrite", flickr, bins / "vg")
    assert not dest.exists() and DataBin(flickr).splits == ["train", "valid", "test"]


def test_questions_with_the_same_classes(bins: Path, tmp_path: Path) -> None:
    """VQA v2 with more questions: labels, soft scores and answers join; other columns go."""
    (tmp_path / "classes.txt").write_text("\nred\ngreen\nblue\n")
    same = ("--tokenizer", bins / "flickr", "--answer-list", tmp_path / "classes.txt")
    raw = write_vqa(tmp_path / "vqa", images=3, test=False)
    build("vqav2", raw, tmp_path / "vqav2", *same)
    rows = [{**row, "answers": ["red"]} for row in captions(2)]
    build("jsonl", write_jsonl(tmp_path / "rows", rows), tmp_path / "more", *same)
    merge("--dest", tmp_path / "all", tmp_path / "vqav2", tmp_path / "more")
    data, alone = DataBin(tmp_path / "all"), DataBin(tmp_path / "vqav2")
    train, valid = data.split("train"), data.split("valid")
    assert data.labels == ["", "red", "green", "blue"]
    assert train.columns == ["answers", "image_id", "label", "labels", "scores"]
    assert train.array("label").tolist()[-2:] == [1, 1] and train.value("scores", 10) == [1.0]
    assert train.value("answers", 4) == alone.split("train").value("answers", 4)
    assert train.value("labels", 2).tolist() == alone.split("train").value("labels", 2).tolist()
    assert valid.value("question_type", 0) == "what colour" and valid.sample_id(1) == 1
    told = json.loads((tmp_path / "all" / "metadata.json").read_text())["splits"]["train"]
    assert told["without_known_answer"] == sum(
        len(train.value("labels", i)) == 0 for i in range(len(train))
    )
