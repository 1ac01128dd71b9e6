"""VQA accuracy by the official evaluator's rule.

Source: Antol et al., VQA: Visual Question Answering, section 3, with the averaging over annotators
and the text processing of the evaluation code that the VQA challenge uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.errors import UserError

OFFICIAL_ANNOTATORS = 10
ENOUGH_MATCHES = 3


def strip_answer(answer: str) -> str:
    """Line breaks and tabs to spaces, and no spaces around: what the evaluator does always."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


def answer_credit(prediction: str, answers: Sequence[str], official: bool = False) -> float:
    """Credit from 0 to 1 of a predicted answer, given the annotators' answers.

    For each annotator min(1, matches among the others / 3), averaged over the annotators; with
    fewer than four it takes all others to match. Both sides are normalised.

    Args:
        prediction, answers: as they were given.
        official: whether they are about a record of VQA v2, whose evaluator normalises neither
            side where ten annotators agree.

    Raises UserError if there are no answers.
    """
    if not answers:
        raise UserError("a question without any reference answer cannot be scored")
    prediction = strip_answer(prediction)
    answers = [strip_answer(answer) for answer in answers]
    as_they_are = official and len(answers) == OFFICIAL_ANNOTATORS and len(set(answers)) == 1
    if not as_they_are:
        prediction = normalize_answer(prediction)
        answers = [normalize_answer(answer) for answer in answers]
    matches = [answer == prediction for answer in answers]
    if len(answers) == 1:
        return float(matches[0])
    enough = min(ENOUGH_MATCHES, len(answers) - 1)
    total = sum(matches)
    return sum(min(1.0, (total - own) / enough) for own in matches) / len(matches)


@dataclass
class VqaReport:
    """VQA accuracy of a set of questions, all values in percent.

    Attributes:
        accuracy: mean over all questions.
        questions: their number.
        by_answer_type: mean of each answer type that the annotations name (yes/no, number, other).
        by_question_type: mean of each question type.
        credits: credit of each question from 0 to 1, in the order of the annotations.
    """

    accuracy: float
    questions: int
    by_answer_type: dict[str, float] = field(default_factory=dict)
    by_question_type: dict[str, float] = field(default_factory=dict)
    credits: list[float] = field(default_factory=list, repr=False)


def mean_percent(values: Sequence[float]) -> float:
    return 100.0 * sum(values) / len(values)


def group_means(credits: Iterable[float], groups: Iterable[str | None]) -> dict[str, float]:
    """Mean percentage of each group by name; members without a group are left out."""
    members: dict[str, list[float]] = {}
    for credit, group in zip(credits, groups, strict=True):
        if group:
            members.setdefault(group, []).append(credit)
    return {group: mean_percent(members[group]) for group in sorted(members)}


def report_of_credits(
    credits: Sequence[float],
    answer_types: Sequence[str | None],
    question_types: Sequence[str | None],
) -> VqaReport:
    """The report for known credits, the types in the same order."""
    return VqaReport(
        accuracy=mean_percent(credits),
        questions=len(credits),
        by_answer_type=group_means(credits, answer_types),
        by_question_type=group_means(credits, question_types),
        credits=list(credits),
    )


def _predictions(results: Iterable[Mapping[str, Any]]) -> dict[Any, str]:
    predictions: dict[Any, str] = {}
    for result in results:
        question = result["question_id"]
        if question in predictions:
            raise UserError(f"question {question} has two results: give each question one answer")
        predictions[question] = result["answer"]
    return predictions


def _annotation_credit(prediction: str, annotation: Mapping[str, Any]) -> float:
    """By the official rule for an official record, whose answers are {"answer": ...} each."""
    given = annotation["answers"]
    texts = [answer if isinstance(answer, str) else answer["answer"] for answer in given]
    return answer_credit(prediction, texts, official=texts != given)


def _check_same_questions(predictions: Mapping[Any, str], questions: Sequence[Any]) -> None:
    known = set(questions)
    if len(known) < len(questions):
        raise UserError("the annotations name a question twice: take those of one split")
    missing = known - predictions.keys()
    if missing:
        raise UserError(
            f"{len(missing)} questions have no result, {min(missing, key=str)} for one: "
            "every question must be answered"
        )
    unknown = predictions.keys() - known
    if unknown:
        raise UserError(
            f"{len(unknown)} results are about questions without annotation, "
            f"{min(unknown, key=str)} for one: are they of the same split?"
        )


def vqa_report(
    results: Iterable[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]
) -> VqaReport:
    """Accuracy over all questions, by answer type and by question type.

    Args:
        results: ``{"question_id", "answer"}``, what the evaluation server takes.
        annotations: official records: ``question_id``, ``answers`` and, for the break-down,
            ``answer_type`` and ``question_type``. Where ``answers`` is a list of plain texts, it is
            not VQA v2's, and both sides are normalised even if ten annotators agree.

    Raises UserError if results and annotations are not about the same questions.
    """
    predictions = _predictions(results)
    if not annotations:
        raise UserError("there are no annotations to score against")
    questions = [annotation["question_id"] for annotation in annotations]
    _check_same_questions(predictions, questions)
    return report_of_credits(
        [
            _annotation_credit(predictions[question], annotation)
            for question, annotation in zip(questions, annotations, strict=True)
        ],
        [annotation.get("answer_type") for annotation in annotations],
        [annotation.get("question_type") for annotation in annotations],
    )


def vqa_accuracy(
    results: Iterable[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]
) -> float:
    """VQA accuracy in percent; arguments and errors as for ``vqa_report``."""
    return vqa_report(results, annotations).accuracy
