"""Answers that normalising makes empty, equal or other, which costs data of one's own its classes.

``A`` is an article and vanishes, ``AB+`` and ``AB-`` become one, ``-5`` becomes ``5``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mt_fairseq.data.answers import ARTICLES, normalize_answer

MOST_SPELLINGS = 100_000
"""Spellings that are kept, so that memory stays flat whatever the number of questions."""
SHOWN, SHOWN_SPELLINGS, SHOWN_TEXT = 8, 4, 40
SIGNS = frozenset("/=+\\-><@")
"""Marks that tell short answers apart, where others are mere punctuation."""

REMEDY = '"label" in place of "answers" keeps them as they are'


@dataclass
class Spelling:
    """An answer as it was first written, and to how many questions it was given."""

    text: str
    normal: str
    questions: int = 0

    @property
    def plain(self) -> str:
        """Without what is no loss: case and spaces."""
        return plain(self.text)

    def altered(self) -> bool:
        """Whether normalising takes away a sign at an end (-5) or a letter beside one (a/b)."""
        if not self.plain or self.plain == self.normal:
            return False
        if {self.plain[0], self.plain[-1]} & SIGNS:
            return True
        apart = "".join(" " if mark in SIGNS else mark for mark in self.plain)
        return " " not in self.plain and not ARTICLES.isdisjoint(apart.split())

    def __str__(self) -> str:
        text = self.text if len(self.text) <= SHOWN_TEXT else f"{self.text[:SHOWN_TEXT]}..."
        return f"{json.dumps(text, ensure_ascii=False)} ({self.questions:,})"


@dataclass
class Loss:
    """Spellings that are one answer once normalised."""

    normal: str
    spellings: list[Spelling]

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """What vanishes or loses a sign first, then by questions."""
        altered = any(spelling.altered() for spelling in self.spellings)
        return self.normal != "", not altered, -sum(each.questions for each in self.spellings)

    def __str__(self) -> str:
        shown = [str(spelling) for spelling in self.spellings[:SHOWN_SPELLINGS]]
        more = len(self.spellings) - len(shown)
        if more:
            shown.append(f"{more:,} more")
        names = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
        return f'{names} {"become" if len(shown) > 1 else "becomes"} "{self.normal[:SHOWN_TEXT]}"'


def plain(answer: str) -> str:
    """Lower case, single spaces."""
    return " ".join(answer.lower().split())


@dataclass
class Spellings:
    """How the majority answers of questions were written, case and spaces aside.

    Attributes:
        found: by plain text, at most ``MOST_SPELLINGS``.
        unknown: uses of spellings that came when there were so many.
    """

    found: dict[str, Spelling] = field(default_factory=dict)
    unknown: int = 0

    def add(self, answers: Iterable[str], majority: str) -> None:
        """Take a question's answers: those that are its majority answer once normalised."""
        first = {plain(answer): answer for answer in reversed(list(dict.fromkeys(answers)))}
        for answer in first.values():
            if normalize_answer(answer) == majority:
                self._count(Spelling(answer, majority, 1))

    def update(self, other: Spellings) -> None:
        """Take what another has found."""
        for spelling in other.found.values():
            self._count(spelling)
        self.unknown += other.unknown

    def _count(self, spelling: Spelling) -> None:
        known = self.found.get(spelling.plain)
        if known is not None:
            known.questions += spelling.questions
        elif len(self.found) < MOST_SPELLINGS:
            self.found[spelling.plain] = spelling
        else:
            self.unknown += spelling.questions

    def losses(self) -> list[Loss]:
        """Answers that vanish, merge or lose a sign, the worst first."""
        groups: dict[str, list[Spelling]] = {}
        for spelling in self.found.values():
            if spelling.plain:  # an answer that was empty from the beginning loses nothing
                groups.setdefault(spelling.normal, []).append(spelling)
        losses = [
            Loss(normal, sorted(spellings, key=lambda spelling: -spelling.questions))
            for normal, spellings in groups.items()
            if len(spellings) > 1 or not normal or spellings[0].altered()
        ]
        return sorted(losses, key=lambda loss: loss.rank)

    def warnings(self) -> Iterator[str]:
        """Lines for people; none where nothing is lost."""
        losses = self.losses()
        if not losses:
            return
        count = sum(len(loss.spellings) for loss in losses)
        yield (
            f"warning: answers are compared normalised, by which {count:,} vanish, merge or lose "
            f"a sign (with questions each); {REMEDY}"
        )
        yield from (f"  {loss}" for loss in losses[:SHOWN])
        if len(losses) > SHOWN:
            yield f"  and {len(losses) - SHOWN:,} more such changes"
        if self.unknown:
            yield f"  (the first {MOST_SPELLINGS:,} spellings were compared)"
