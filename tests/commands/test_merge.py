"""``evaluate --shard`` and ``evaluate merge`` for tasks with label answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mt_fairseq import evaluate
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.merge import parse_shard


def run(*args: object) -> int:
    return evaluate.main([*map(str, args), "--cpu", "--num-workers", "0", "--batch-size", "2"])


@pytest.fixture(scope="module")
def parts(vqa_checkpoint, question_bin, tmp_path_factory) -> list[Path]:
    """Nine questions in five batches, shared by two processes."""
    folder = tmp_path_factory.mktemp("parts")
    for part in (1, 2):
        run(vqa_checkpoint, question_bin, "--out", folder / str(part), "--shard", f"{part}/2")
    return [folder / "1", folder / "2"]


def merge(*args: object) -> int:
    return evaluate.main(["merge", *map(str, args)])


def without_seconds(folder: Path) -> dict:
    score = json.loads((folder / "score.json").read_text())
    assert score.pop("seconds") >= 0
    return score


def test_parts_merged_are_the_whole(parts, vqa_checkpoint, question_bin, tmp_path, capsys):
    run(vqa_checkpoint, question_bin, "--out", tmp_path / "whole")
    capsys.readouterr()
    merge(parts[1], parts[0], "--out", tmp_path / "merged")
    assert "VQA accuracy" in capsys.readouterr().out
    assert without_seconds(tmp_path / "merged") == without_seconds(tmp_path / "whole")
    for name in ("results.jsonl", "evalai.json"):
        whole, merged = (tmp_path / folder / name for folder in ("whole", "merged"))
        assert merged.read_bytes() == whole.read_bytes()
    evaluate.main(["compare", str(tmp_path / "whole"), str(tmp_path / "merged")])
    assert sum(len((part / "answers.jsonl").read_text().splitlines()) for part in parts) == 9


def test_parts_that_make_no_whole(parts, vqa_checkpoint, question_bin, tmp_path):
    out = ["--out", tmp_path / "out"]
    with pytest.raises(UserError, match="part 2/2 is missing"):
        merge(parts[0], *out)
    with pytest.raises(UserError, match=r"is part 1/2, as .* is"):
        merge(parts[0], parts[0], *out)
    with pytest.raises(UserError, match=r"has no part\.json"):
        merge(parts[0], tmp_path, *out)
    other = tmp_path / "other"
    shutil.copytree(parts[1], other)
    part = json.loads((other / "part.json").read_text())
    part["facts"]["split"] = "test"
    (other / "part.json").write_text(json.dumps(part))
    with pytest.raises(UserError, match=r"has split test, .* has valid"):
        merge(parts[0], other, *out)
    part["facts"]["split"], part["shard"] = "valid", "2/3"
    (other / "part.json").write_text(json.dumps(part))
    with pytest.raises(UserError, match="is part 2/3, others are of 2"):
        merge(parts[0], other, *out)
    assert not (tmp_path / "out").exists()


def test_answers_cut_short(parts, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(parts[1], other)
    lines = (other / "answers.jsonl").read_text().splitlines()
    (other / "answers.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="samples of split valid were not answered"):
        merge(parts[0], other, "--out", tmp_path / "out")
    (other / "answers.jsonl").write_text(lines[0][:-5] + "\n")
    with pytest.raises(UserError, match=r"answers\.jsonl: line 1"):
        merge(parts[0], other, "--out", tmp_path / "out")


def test_more_parts_than_batches(vqa_checkpoint, question_bin, tmp_path):
    with pytest.raises(UserError, match="makes 5 batches of 2"):
        run(vqa_checkpoint, question_bin, "--out", tmp_path / "out", "--shard", "1/6")


def test_shards_are_written_as_i_of_n():
    assert parse_shard("2/3") == (2, 3)
    for wrong in ("0/2", "3/2", "1", "1/", "a/b", "1/2/3", "-1/2"):
        with pytest.raises(UserError, match="I/N"):
            parse_shard(wrong)
