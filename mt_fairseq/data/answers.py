"""Answers of VQA v2: normalisation, soft scores, the answer vocabulary.

The rules are those of the official evaluation of VQA and of the preprocessing that all compared
models share; what looks odd in them decides published scores, so it is kept and named here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
)  # fmt: skip
NUMBERS = {word: str(number) for number, word in enumerate(NUMBER_WORDS)} | {"none": "0"}
ARTICLES = frozenset({"a", "an", "the"})
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
FULL_STOP = re.compile(r"\.(?!\d)")
DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
MAX_STOPS = int(re.UNICODE)
"""Only 32 full stops are deleted: the official code passes this flag where the count belongs."""

SOFT_SCORES = (0.0, 0.3, 0.6, 0.9)
MIN_COUNT = 9

# Every form here answers for its own misspellings with one apostrophe left out.
APOSTROPHE_FORMS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've
    hasn't haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't
    mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't
    she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
    someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've
    we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've
    who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll
    y'all'd've you'd you'd've you'll you're you've
"""


def _misspellings(form: str) -> list[str]:
    """``form`` with each of its apostrophes left out in turn."""
    return [form[:i] + form[i + 1 :] for i, mark in enumerate(form) if mark == "'"]


CONTRACTIONS = {wrong: form for form in APOSTROPHE_FORMS.split() for wrong in _misspellings(form)}
CONTRACTIONS["somebody'd"] = "somebodyd"  # the wrong way round in the official table


@lru_cache(maxsize=1 << 16)  # annotators agree: most answers of a dataset are repetitions
def normalize_answer(answer: str) -> str:
    """The form in which answers are compared; may be empty.

    >>> normalize_answer("Two dogs, dont know.")
    "2 dogs don't know"
    """
    words = (NUMBERS.get(word, word) for word in _strip_marks(answer).lower().split())
    kept = (CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
    return " ".join(kept).replace(",", "")


def shown_answer(answer: str) -> str:
    """As people are shown it: two quotes for an empty answer, which would be a blank line."""
    return answer or '""'


def _strip_marks(answer: str) -> str:
    """Delete or blank punctuation; each mark is judged by where it stands in the *whole* answer."""
    joined_digits = DIGIT_COMMA_DIGIT.search(answer) is not None
    text = answer
    for mark in PUNCTUATION:
        beside_space = f"{mark} " in answer or f" {mark}" in answer
        text = text.replace(mark, "" if beside_space or joined_digits else " ")
    return FULL_STOP.sub("", text, count=MAX_STOPS)


def soft_score(count: int) -> float:
    """Credit for an answer that ``count`` of ten annotators gave."""
    return SOFT_SCORES[count] if count < len(SOFT_SCORES) else 1.0


def answer_targets(answers: Sequence[str]) -> dict[str, float]:
    """Normalised answer -> soft score, in order of first appearance."""
    counts = Counter(normalize_answer(answer) for answer in answers)
    return {answer: soft_score(count) for answer, count in counts.items()}


def build_answer_vocabulary(
    majority_answers: Iterable[str], min_count: int = MIN_COUNT
) -> list[str]:
    """Normalised majority answers seen at least ``min_count`` times, by first appearance."""
    counts = Counter(normalize_answer(answer) for answer in majority_answers)
    return [answer for answer, count in counts.items() if count >= min_count]
