"""VQA accuracy against cases worked out by hand from the official rule."""

from __future__ import annotations

import json

import pytest

from mt_fairseq.errors import UserError
from mt_fairseq.evaluation import vqa_accuracy, vqa_report
from mt_fairseq.evaluation.vqa import answer_credit


def annotation(question, answers, answer_type="other", question_type="what is"):
    """An official record."""
    return {
        "question_id": question,
        "image_id": 1,
        "question_type": question_type,
        "answer_type": answer_type,
        "multiple_choice_answer": answers[0],
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": number}
            for number, answer in enumerate(answers, 1)
        ],
    }


@pytest.mark.parametrize(
    ("matches", "credit"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)]
)
def test_credit_by_number_of_matching_annotators(matches, credit):
    answers = ["cat"] * matches + [f"other {i}" for i in range(10 - matches)]
    assert answer_credit("cat", answers) == pytest.approx(credit)


@pytest.mark.parametrize(
    ("prediction", "given"),
    [
        ("Two.", "2"),  # number words, case, full stop
        ("the red car", "red car"),  # articles
        ("dont know", "don't know"),  # contractions
        ("don't know", "dont know"),
        ("1,000", "1000"),  # comma between digits
        ("T-shirt", "t shirt"),  # punctuation to a space
        ("yes!\n", "yes"),  # line breaks are stripped
        ("\tnone", "0"),
        ("somebody'd", "somebodyd"),
    ],
)
def test_disagreeing_annotators_are_normalised(prediction, given):
    assert answer_credit(prediction, [given] * 9 + ["something"]) == 1
    assert answer_credit(given, [prediction] * 9 + ["something"]) == 1


def test_annotators_who_disagree_in_spelling_alone():
    """Normalised, all ten say 2: then every one of them has nine who match."""
    answers = ["two", "2", "Two", "the two", "two.", "2", "a two", "two!", "TWO", "2."]
    assert answer_credit("Two", answers) == 1
    assert answer_credit("three", answers) == 0
    mixed = ["dont know"] * 2 + ["don't know."] * 1 + ["1,000"] * 3 + ["1000"] * 4
    assert answer_credit("don't know", mixed) == pytest.approx((3 * 2 / 3 + 7) / 10)
    assert answer_credit("1,000", mixed) == 1


def test_agreeing_annotators_of_vqa_v2_are_compared_as_they_are():
    assert answer_credit("2", ["two"] * 10, official=True) == 0
    assert answer_credit("Yes", ["yes"] * 10, official=True) == 0
    assert answer_credit(" yes\n", ["yes "] * 10, official=True) == 1  # but for spaces around


def test_difference_in_spaces_alone_is_agreement():
    # were these taken as disagreeing, "two" would be normalised and match
    assert answer_credit("2", ["two"] * 9 + [" two\t"], official=True) == 0


@pytest.mark.parametrize("annotators", [1, 9, 10, 11])
def test_agreeing_annotators_of_other_data_are_normalised(annotators):
    """A lone answer stands for ten that agree, and classes are normalised."""
    assert answer_credit("red", ["Red"] * annotators) == 1
    assert answer_credit("Two", ["2"] * annotators) == 1
    assert answer_credit("blue", ["Red"] * annotators) == 0


def test_the_form_of_a_record_says_whose_it_is():
    """Official records hold {"answer": ...}; a list of texts is a user's own."""
    results = [{"question_id": 1, "answer": "red"}]
    assert vqa_accuracy(results, [annotation(1, ["Red"] * 10)]) == 0
    assert vqa_accuracy(results, [{"question_id": 1, "answers": ["Red"] * 10}]) == 100


def test_empty_answers_match_what_normalises_to_nothing():
    assert answer_credit("", ["the"] * 4 + ["a", "an"] + ["cat"] * 4) == 1


@pytest.mark.parametrize(
    ("prediction", "answers", "credit"),
    [
        ("Red", ["red"], 1),
        ("blue", ["red"], 0),
        ("red", ["red", "Red"], 1),
        ("red", ["red", "blue"], 0.5),
        ("red", ["red", "red", "blue"], (0.5 + 0.5 + 1) / 3),
        ("red", ["red"] * 4 + ["blue"], 1),
        ("2", ["two"] * 5, 1),
    ],
)
def test_other_numbers_of_annotators(prediction, answers, credit):
    assert answer_credit(prediction, answers) == pytest.approx(credit)


def test_report_by_answer_and_question_type():
    annotations = [
        annotation(1, ["yes"] * 10, "yes/no", "is the"),
        annotation(2, ["no"] * 9 + ["yes"], "yes/no", "is there"),
        annotation(3, ["2"] * 3 + ["3"] * 7, "number", "how many"),
        annotation(4, ["cat"] * 10, "other", "is the"),
    ]
    results = [
        {"question_id": 4, "answer": "dog"},
        {"question_id": 3, "answer": "two"},
        {"question_id": 2, "answer": "yes"},
        {"question_id": 1, "answer": "yes"},
    ]
    report = vqa_report(results, annotations)
    assert report.credits == pytest.approx([1, 0.3, 0.9, 0])
    assert report.accuracy == pytest.approx(55)
    assert vqa_accuracy(results, annotations) == report.accuracy
    assert report.by_answer_type == pytest.approx({"number": 90, "other": 0, "yes/no": 65})
    assert report.by_question_type == pytest.approx({"how many": 90, "is the": 50, "is there": 30})


def test_annotations_are_left_as_they_were():
    annotations = [annotation(1, ["Two"] * 9 + ["three"])]
    before = json.dumps(annotations)
    vqa_accuracy([{"question_id": 1, "answer": "2"}], annotations)
    assert json.dumps(annotations) == before


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([1], "1 questions have no result, 2 for one"),
        ([1, 2, 2], "question 2 has two results"),
        ([1, 2, 3], "1 results are about questions without annotation, 3 for one"),
    ],
)
def test_results_of_other_questions_are_refused(results, message):
    annotations = [annotation(1, ["yes"] * 10), annotation(2, ["no"] * 10)]
    with pytest.raises(UserError, match=message):
        vqa_accuracy([{"question_id": q, "answer": "yes"} for q in results], annotations)


def test_questions_without_answers_are_refused():
    with pytest.raises(UserError, match="no annotations"):
        vqa_accuracy([], [])
    with pytest.raises(UserError, match="without any reference"):
        answer_credit("yes", [])


def test_real_annotations(shared_dir):
    """Answering with the most frequent human answer scores as high as people agree."""
    path = shared_dir / "data" / "vqav2" / "v2_mscoco_train2014_annotations.json"
    annotations = json.loads(path.read_text())["annotations"]
    best = [
        {"question_id": a["question_id"], "answer": a["multiple_choice_answer"]}
        for a in annotations
    ]
    report = vqa_report(best, annotations)
    assert report.questions == len(annotations) > 500
    assert 90 < report.accuracy < 99
    assert set(report.by_answer_type) == {"yes/no", "number", "other"}
    assert report.by_answer_type["yes/no"] > report.by_answer_type["other"]
    nothing = [{**result, "answer": "no such answer"} for result in best]
    assert vqa_accuracy(nothing, annotations) == 0
