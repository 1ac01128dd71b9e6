"""NLVR2's consistency against the official definition, and the file for its script."""

from __future__ import annotations

import json

import pytest

from mt_fairseq.errors import UserError
from mt_fairseq.evaluation import nlvr2_consistency
from mt_fairseq.evaluation.nlvr2 import nlvr2_submission


def test_a_sentence_counts_when_all_its_pairs_are_right():
    predictions = {
        "dev-0-0-0": ("True", "True"),
        "dev-0-1-0": ("False", "False"),  # sentence 0 of set 0: right of both pairs
        "dev-0-0-1": ("True", "True"),
        "dev-0-1-1": ("True", "False"),  # sentence 1 of set 0: wrong of one
        "dev-1-0-0": ("False", "False"),  # another set: another sentence
        "test1-1-1-0": ("True", "False"),  # another split: another sentence
    }
    assert nlvr2_consistency(predictions) == pytest.approx(100 * 2 / 4)


def test_truth_values_compare_in_any_spelling():
    predictions = {"dev-0-0-0": (True, "True"), "dev-1-0-0": ("false", False)}
    assert nlvr2_consistency(predictions) == 100


@pytest.mark.parametrize("identifier", ["dev-0-0", "dev-0-0-0-img0", "850"])
def test_other_identifiers_are_refused(identifier):
    with pytest.raises(UserError, match=f"'{identifier}' is no identifier of NLVR2"):
        nlvr2_consistency({identifier: ("True", "True")})


def test_no_predictions():
    with pytest.raises(UserError, match="no predictions"):
        nlvr2_consistency({})


def test_submission_has_no_head():
    text = nlvr2_submission([("test1-0-0-0", "True"), ("test1-0-1-0", "False")])
    assert text == "test1-0-0-0,True\ntest1-0-1-0,False\n"


def test_real_lines(shared_dir):
    """Answering "True" is right of as many as are true, and consistent where no pair is false."""
    path = shared_dir / "data" / "nlvr2" / "data" / "dev.json"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    consistency = nlvr2_consistency({x["identifier"]: ("True", x["label"]) for x in lines})
    sentences: dict[str, set[str]] = {}
    for line in lines:
        sentences.setdefault(line["sentence"], set()).add(line["label"])
    always = sum(labels == {"True"} for labels in sentences.values())
    assert consistency == pytest.approx(100 * always / len(sentences))
    assert nlvr2_consistency({x["identifier"]: (x["label"],) * 2 for x in lines}) == 100
