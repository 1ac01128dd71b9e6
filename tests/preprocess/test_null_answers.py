"""A value that is not text never becomes text: no answer "None", no class "3"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, captions, dump, write_jsonl, write_vqa
from .raw_tasks import nlvr2_rows, snli_ve_rows, write_lines, write_nlvr2, write_snli_ve

ANNOTATIONS = "v2_mscoco_train2014_annotations.json"


def _change(annotation: dict[str, Any], field: str, value: Any) -> None:
    if field == "answer":
        annotation["answers"][3]["answer"] = value
    else:
        annotation[field] = value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("answer", None), ("answer", 3), ("answer", ["red"]), ("answer", {"red": 1}),
        ("multiple_choice_answer", None), ("multiple_choice_answer", True), ("question_type", None),
    ],
)  # fmt: skip
def test_vqa(tmp_path: Path, field: str, value: Any) -> None:
    raw = write_vqa(tmp_path / "raw", images=3, test=False)
    content = json.loads((raw / ANNOTATIONS).read_text())
    _change(content["annotations"][0], field, value)
    dump(raw / ANNOTATIONS, content)
    options = ("--splits", "train", "--min-answer-count", 1)
    with pytest.raises(UserError, match=rf'question 0.*: "{field}" is not text: '):
        build("vqav2", raw, tmp_path / "bin", *options)
    data = DataBin(build("vqav2", raw, tmp_path / "bin", *options, "--on-error", "skip"))
    assert data.labels == ["green", "blue", "yellow", "red"]  # the first question's red is not seen
    train = data.split("train")
    assert len(train) == 8 and train.sample_id(0) == 1
    assert [x["record"] for x in data.metadata["splits"]["train"]["skipped"]] == [
        "question 0.answers[3]" if field == "answer" else "question 0"]  # fmt: skip


@pytest.mark.parametrize("answers", [[None], ["red", None], [3], "red", [["red"]]])
def test_own_answers(tmp_path: Path, answers: Any) -> None:
    rows = [{**row, "answers": ["red"]} for row in captions(3)]
    raw = write_jsonl(tmp_path / "raw", [{**rows[0], "answers": answers}, *rows[1:]])
    data = DataBin(build("jsonl", raw, tmp_path / "bin", "--min-answer-count", 1,
                         "--on-error", "skip"))  # fmt: skip
    assert data.labels == ["red"] and len(data.split("train")) == 2


@pytest.mark.parametrize("value", [None, 1, ["True"]])
def test_labels(tmp_path: Path, value: Any) -> None:
    raw = write_nlvr2(tmp_path / "nlvr2")
    rows = [*nlvr2_rows("train", 3), {**nlvr2_rows("train", 1)[0], "label": value}]
    write_lines(raw / "data" / "train.json", rows)
    with pytest.raises(UserError, match=r'train\.json line 13: "label" is not text'):
        build("nlvr2", raw, tmp_path / "a")
    raw = write_snli_ve(tmp_path / "snli_ve")
    rows = [*snli_ve_rows(10, 4), {**snli_ve_rows(10, 1)[0], "gold_label": value}]
    write_lines(raw / "snli_ve_train.jsonl", rows)
    with pytest.raises(UserError, match=r'train\.jsonl line 13: "gold_label" is not text'):
        build("snli_ve", raw, tmp_path / "b")


def test_json_booleans_are_nlvr2s_labels(tmp_path: Path) -> None:
    raw = write_nlvr2(tmp_path / "raw")
    rows = [{**row, "label": row["label"] == "True"} for row in nlvr2_rows("train", 3)]
    write_lines(raw / "data" / "train.json", rows)
    data = DataBin(build("nlvr2", raw, tmp_path / "bin", "--splits", "train"))
    assert data.split("train").array("label").tolist() == [1, 0, 0, 1] * 3
