"""Which rule scores a question's answers, from the reader to the score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.evaluation.answer_results import AnswerResults
from mt_fairseq.evaluation.results import LabelResults
from mt_fairseq.evaluation.scorers import VqaAccuracyScorer
from mt_fairseq.evaluation.task_scorer import Answered
from preprocess.__main__ import main
from tests.preprocess.raw import build, captions, dump, write_jsonl, write_vqa

CLASSES = ["2", "red"]


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VQA v2's questions and a user's own, whose ten annotators all say "Two"; and both as one."""
    root = tmp_path_factory.mktemp("rules")
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    raw = write_vqa(root / "raw" / "vqa", images=3, questions=1, test=False)
    for part in ("train2014", "val2014"):
        path = raw / f"v2_mscoco_{part}_annotations.json"
        content = json.loads(path.read_text())
        for annotation in content["annotations"]:
            annotation["multiple_choice_answer"] = "Two"
            for answer in annotation["answers"]:
                answer["answer"] = "Two"
        dump(path, content)
    build("vqav2", raw, root / "vqa", "--answer-list", root / "classes.txt")
    rows = [{**row, "answers": answers}
            for row, answers in zip(captions(2), (["Two"], ["Two"] * 10), strict=True)]  # fmt: skip
    own = write_jsonl(root / "raw" / "own", rows)
    options = ("--answer-list", root / "classes.txt", "--tokenizer", root / "vqa")
    build("jsonl", own, root / "own", *options)
    main(["merge", "--dest", str(root / "both"), str(root / "own"), str(root / "vqa")])
    return root


def score(data: DataBin, split: str, kind: type[LabelResults], task: str) -> dict:
    """What the scorer reports where every question is answered with the class "2"."""
    answers = kind(data, split)
    for row in range(len(data.split(split))):
        answers.load({"row": row, "answers": ["2"], "scores": [0.0]})
    scorer = VqaAccuracyScorer(OmegaConf.create())
    scorer.take(Answered(task, answers))
    credits = [record["credit"] for record in scorer.records()]
    return {**scorer.score_report(), "credits": credits}


@pytest.mark.parametrize(("kind", "task"), [(LabelResults, "vqa"), (AnswerResults, "albef_vqa")])
@pytest.mark.parametrize(
    ("name", "split", "credits", "rule"),
    [
        ("vqa", "train", [0, 0, 0], "official"),
        ("own", "train", [1, 1], "normalised"),
        ("both", "train", [1, 1, 0, 0, 0], "mixed"),
        ("both", "valid", [0], "official"),
        ("both", "valid,train", [0, 1, 1, 0, 0, 0], "mixed"),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_rule_of_each_question(
    bins: Path, kind: type[LabelResults], task: str, name: str, split: str, credits: list[float],
    rule: str, told: bool,
) -> None:  # fmt: skip
    """Also in a data-bin of the time when metadata.json did not say it."""
    data = DataBin(bins / name)
    for about in data.metadata["splits"].values():
        assert "answer_rules" in about
        if not told:
            del about["answer_rules"]
    found = score(data, split, kind, task)
    assert found["credits"] == credits
    assert found["answer_rule"] == rule
    assert found["score"] == pytest.approx(100 * sum(credits) / len(credits))
    low, high = found["ci95"]
    assert low - 1e-9 <= found["score"] <= high + 1e-9


def test_metadata_names_the_rule_of_every_sample(bins: Path) -> None:
    def rules(name: str) -> dict:
        splits = DataBin(bins / name).metadata["splits"]
        return {split: about["answer_rules"] for split, about in splits.items()}

    assert rules("vqa") == {"train": [["official", 3]], "valid": [["official", 1]]}
    assert rules("own") == {"train": [["normalised", 2]]}
    both = {"train": [["normalised", 2], ["official", 3]], "valid": [["official", 1]]}
    assert rules("both") == both


def test_a_merge_of_merged_ones_keeps_the_rules(bins: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    main(["merge", "--dest", str(more), str(bins / "both"), f"again={bins / 'vqa'}"])
    train = DataBin(more).metadata["splits"]["train"]
    assert train["answer_rules"] == [["normalised", 2], ["official", 6]]


def test_testdev_alone_is_no_submission(tmp_path: Path) -> None:
    """The server wants every question of the test set."""
    raw = write_vqa(tmp_path / "raw", images=3)
    data = DataBin(build("vqav2", raw, tmp_path / "bin", "--min-answer-count", 1))
    for split, files in (("test", {"evalai.json"}), ("testdev", set())):
        answers = LabelResults(data, split)
        for row in range(len(data.split(split))):
            answers.load({"row": row, "answers": ["red"], "scores": [0.0]})
        scorer = VqaAccuracyScorer(OmegaConf.create())
        scorer.take(Answered("vqa", answers))
        assert set(scorer.submissions()) == files
        assert ("name --split test" in scorer.result_string()) == (split == "testdev")
