"""How many questions have an answer that is a class, known before the long work starts."""

from __future__ import annotations

from collections.abc import Iterator

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.errors import UserError
from preprocess.clean_texts import records_of
from preprocess.datasets.registry import Reader
from preprocess.options import Options
from preprocess.records import Record
from preprocess.survey import Survey

WARN_ABOVE = 0.1
"""Share of a split's questions without a class."""
SHOWN = 5


def class_warnings(
    reader: Reader, splits: list[str], found: Survey, classes: list[str], options: Options
) -> Iterator[str]:
    """A line for each split of which more than a tenth of the questions have no class.

    Raises UserError for a split with answers none of whose questions has one.
    """
    known = frozenset(classes)
    for split in splits:
        majority = found.answers.get(split)
        # A question whose majority answer is a class has one, so most splits need no more.
        if not majority or _without(majority, known) <= WARN_ABOVE * majority.total():
            continue
        asked, lacking = _count(reader, split, found, known, options)
        if lacking == asked > 0:
            most = ", ".join(repr(answer) for answer, _ in majority.most_common(SHOWN))
            raise UserError(
                f"split {split!r} of {reader.raw}: none of the answers to its {asked:,} questions "
                f"(most frequent: {most}) is one of the {len(known):,} classes "
                f"({', '.join(map(repr, classes[:SHOWN]))}{', ...' if len(known) > SHOWN else ''});"
                f" {_remedy(options)}"
            )
        if lacking > WARN_ABOVE * asked:
            yield (
                f"warning: split {split!r}: {lacking:,} of {asked:,} questions "
                f"({100 * lacking / asked:.0f} %) have no answer that is a class, so they teach "
                f"nothing and are scored as wrong; {_remedy(options)}"
            )


def _without(majority: dict[str, int], known: frozenset[str]) -> int:
    return sum(count for answer, count in majority.items() if answer not in known)


def _count(
    reader: Reader, split: str, found: Survey, known: frozenset[str], options: Options
) -> tuple[int, int]:
    """Usable questions with answers, and those of them that have no class."""
    asked = lacking = 0
    records = records_of(reader, split, options.clean_text)
    for record in found.checker(split).judge(records):
        if isinstance(record, Record) and record.answers is not None:
            asked += 1
            lacking += known.isdisjoint(map(normalize_answer, record.answers))
    return asked, lacking


def _remedy(options: Options) -> str:
    if options.answer_list is not None:
        return f"is --answer-list {options.answer_list} that of this data?"
    return f"lower --min-answer-count {options.min_answer_count}, or give --answer-list"
