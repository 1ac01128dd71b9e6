"""Baselines, the table and the copy with other images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from examples.demo.baselines import (
    interval,
    main,
    predict_by_string,
    predict_by_words,
    predict_majority,
    text_only,
)
from examples.demo.raw import VqaSplit, find_raw, read_vqa_split
from examples.demo.report import Report, Row, best_answers, make_report
from examples.demo.samples import LabelSamples
from examples.demo.shuffle_images import shuffle_images
from examples.demo.world.layouts.coco import coco_pictures
from examples.demo.world.layouts.vqav2 import write_vqa
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from tests import support


def split_of(*pairs: tuple[str, str]) -> VqaSplit:
    """Questions about pictures 0, 1, ...; all ten annotators agree."""
    return VqaSplit(
        texts=[text for text, _ in pairs],
        question_ids=list(range(len(pairs))),
        image_ids=list(range(len(pairs))),
        annotations=[
            {
                "question_id": i,
                "multiple_choice_answer": answer,
                "answers": [{"answer": answer}] * 10,
                "answer_type": "other",
            }
            for i, (_, answer) in enumerate(pairs)
        ],
    )


TRAIN = split_of(
    ("What is it?", "cat"), ("What is it?", "cat"), ("What is it?", "dog"),
    ("How many are there?", "2"), ("How many cats?", "3"), ("How many cats?", "3"),
)  # fmt: skip


def test_majority_and_question_strings() -> None:
    test = split_of(("What is it?", "cat"), ("How many dogs?", "2"), ("Why?", "cat"))
    assert len(set(predict_majority(TRAIN, test))) == 1
    assert predict_by_string(TRAIN, test)[:2] == ["cat", "3"]
    assert list(test.credits(["cat", "3", "cat"])) == [1.0, 0.0, 1.0]


def test_question_words_learn_and_the_stronger_is_reported() -> None:
    test = split_of(("What is it?", "cat"), ("How many cats?", "3"))
    assert predict_by_words(TRAIN, test) == ["cat", "3"]
    name, credits = text_only(TRAIN, test)
    assert name in ("whole string", "words") and credits.mean() == 1.0


def test_one_answer_only_still_gives_a_baseline() -> None:
    train = split_of(("a b?", "yes"), ("c d?", "yes"))
    assert predict_by_words(train, train) == ["yes", "yes"]


def test_interval_treats_pictures_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.integers(0, 2, 100).astype(float), 8)
    mean, low, high = interval(values, range(800))
    _, wide_low, wide_high = interval(values, np.repeat(np.arange(100), 8).tolist())
    assert low < mean < high
    assert wide_high - wide_low > 2 * (high - low)
    assert interval(np.ones(5), range(5)) == (100.0, 100.0, 100.0)


def test_question_only_of_the_world_stays_within_its_range(tmp_path: Path) -> None:
    """Words alone give 35 to 50 %: the pictures have to be looked at."""
    parts = {"train2014": coco_pictures(1, "train2014", 1500, 1)}
    parts["val2014"] = coco_pictures(1, "val2014", 150, 1501)
    raw = tmp_path
    write_vqa(raw, raw, seed=1, parts=parts, per_image=6)
    train, test = (read_vqa_split(raw, part) for part in ("train2014", "val2014"))
    _, credits = text_only(train, test)
    majority = test.credits(predict_majority(train, test))
    assert 0.15 < majority.mean() < 0.35 < credits.mean() < 0.50
    truth = [a["multiple_choice_answer"] for a in test.annotations]
    assert test.credits(truth).mean() == 1.0


def test_command_prints_both(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--raw", str(world / "vqav2")]) == 0
    assert capsys.readouterr().out.count("%") >= 2


def test_raw_folders_are_found_or_named(world: Path, tmp_path: Path) -> None:
    found = find_raw(world)
    assert (found.questions, found.images) == (world / "vqav2", world / "coco")
    assert found.captions == world / "coco"
    with pytest.raises(UserError, match="no such folder"):
        find_raw(tmp_path / "nowhere")
    with pytest.raises(UserError, match="are not there"):
        find_raw(tmp_path)
    for path in (world / "vqav2").iterdir():
        if "annotations" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"train2014_annotations\.json is missing"):
        find_raw(tmp_path)


def test_unreadable_question_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").write_text("{")
    with pytest.raises(UserError, match="not a JSON object"):
        read_vqa_split(tmp_path, "val2014")
    with pytest.raises(UserError, match="is missing"):
        read_vqa_split(tmp_path, "train2014")


def test_shuffled_copy_moves_every_picture(world: Path, tmp_path: Path) -> None:
    raw, source, dest = world / "vqav2", tmp_path / "bin", tmp_path / "shuffled"
    support.python(
        "-m", "preprocess", "vqav2", "--raw", raw, "--image-root", world / "coco",
        "--dest", source, "--vocab-size", 200, "--workers", 1,
    )  # fmt: skip
    assert shuffle_images(source, dest, "valid") == 16
    before, after = DataBin(source).split("valid"), DataBin(dest).split("valid")
    assert (before.image_column != after.image_column).all()
    moved = dict(zip(before.image_column[:, 0], after.image_column[:, 0], strict=True))
    assert len(moved) == len(set(moved.values())) == 16
    assert [before.sample_id(i) for i in range(9)] == [after.sample_id(i) for i in range(9)]
    assert (before.text(3) == after.text(3)).all()
    same = [DataBin(folder).split("train").image_column for folder in (source, dest)]
    assert (same[0] == same[1]).all()
    assert DataBin(dest).images.key(0) == DataBin(source).images.key(0)
    with pytest.raises(UserError, match="exists"):
        shuffle_images(source, dest, "valid")


def test_best_answers_are_the_first_hypotheses() -> None:
    lines = ["S-4\twhat ?", "T-4\tred", "H-4\t-0.1\tlight blue", "H-4\t-2\tred", "H-0\t-1\t", "x"]
    assert best_answers(lines) == {4: "light blue", 0: ""}


def test_report_needs_the_lower_bound() -> None:
    row = Row("model", 60.0, 58.0, 62.0, {"yes/no": 70.0})
    passing = Report("accuracy", "pairs", 100, [row], (12.0, 10.5, 13.5), (-1.0, -2.0, 0.0))
    assert passing.passed and "| model" in passing.text() and "12.0 points" in passing.text()
    assert "100 held-out pairs" in passing.text() and "| accuracy, %" in passing.text()
    failing = Report("accuracy", "pairs", 100, [row], (12.0, 9.5, 13.5), (0.0, 0.0, 0.0))
    assert not failing.passed
    assert json.dumps(passing.rows[0].by_kind)


def test_table_of_a_task_with_labels() -> None:
    """The model's row, and its gain over the stronger baseline, by label."""
    labels = ["yes", "no"] * 20
    train = LabelSamples(["is it ?"] * 3, ["a", "b", "c"], ["1", "1", "2"], ["yes", "yes", "no"])
    test = LabelSamples(
        ["is it ?"] * 40, [str(i) for i in range(40)], [str(i // 4) for i in range(40)], labels
    )
    answered = {"valid": labels, "shuffled": ["yes"] * 40}
    report = make_report("accuracy", "statements", train, test, answered)
    assert [row.score for row in report.rows] == [100, 50, 50, 50]
    assert report.rows[0].by_kind == {"no": 100, "yes": 100}
    assert report.gain[0] == 50 and report.shuffled_gain == (0, 0, 0) and report.passed
