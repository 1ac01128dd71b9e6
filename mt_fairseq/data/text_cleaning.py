"""What ALBEF's official code does to captions and questions before they are tokenized.

Published weights saw no other texts. A data-bin, and a checkpoint trained on it, name their
cleaning, so that texts given to a trained model go through it too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

DELETED = re.compile(r"[,.'!?\"()*#:;~]")
BECOMES_SPACE = re.compile(r"[-/]")
SPACES = re.compile(r"\s{2,}")
CAPTION_WORDS, QUESTION_WORDS = 30, 50


def clean_caption(text: str, max_words: int = CAPTION_WORDS) -> str:
    """Captions, sentences, hypotheses and expressions: lower case, no punctuation, single spaces.

    Single tabs and line breaks within the text stay, as in the official code.

    >>> clean_caption("A well-lit  room: <PERSON>, sitting.")
    'a well lit room person sitting'
    """
    text = SPACES.sub(" ", _without_marks(text).replace("<person>", "person"))
    return _first_words(text.rstrip("\n").strip(" "), max_words)


def clean_question(text: str, max_words: int = QUESTION_WORDS) -> str:
    """Questions: as captions, but spaces stay as they are, except at the end.

    The official code keeps 30 words in training, where texts are cut to 25 tokens anyway.

    >>> clean_question("What's on the T-shirt ?")
    'whats on the t shirt'
    """
    return _first_words(_without_marks(text).rstrip(" "), max_words)


def _without_marks(text: str) -> str:
    return BECOMES_SPACE.sub(" ", DELETED.sub("", text.lower()))


def _first_words(text: str, count: int) -> str:
    return " ".join(text.split(" ")[:count])


CLEANINGS: dict[str, Callable[[str], str]] = {
    "albef-captions": clean_caption,
    "albef-questions": clean_question,
}
"""By the names of ``preprocess --clean-text``."""


def cleaned(text: str, name: str | None) -> str:
    """``text`` by the cleaning of a name; as it is without one."""
    return text if name is None else CLEANINGS[name](text)
