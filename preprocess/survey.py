"""The first pass over the records: find every fault that needs no picture to be decoded."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError
from preprocess.answer_list import read_answer_list
from preprocess.answer_spellings import Spellings
from preprocess.check import SplitChecker, may_leave_nothing
from preprocess.clean_texts import records_of
from preprocess.datasets.registry import Reader
from preprocess.image_table import ImageTable
from preprocess.options import Options
from preprocess.records import BadRecord, Record


@dataclass
class Survey:
    """What is known before the long work starts.

    Args:
        images: every image that a usable record needs.
        samples: usable records of each split, before pictures are decoded.
        records: all records of each split.
        answers: of each split the normalised majority answers and how often each was seen, by
            first appearance. Records without a picture count too, so that classes depend on the
            text alone.
        spellings: how they were written, where the reader's answers are to be warned of.
        class_names: labels seen.
        allowed: the only labels allowed, or None.
        repeated: of each split the hashes of ids that occur more than once.
        tokenizer: what judged whether texts leave tokens, or None.
        doubtful: whether a text may leave none, so that a tokenizer must judge.
    """

    images: ImageTable
    samples: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    spellings: Spellings = field(default_factory=Spellings)
    class_names: set[str] = field(default_factory=set)
    allowed: dict[str, int] | None = None
    repeated: dict[str, frozenset[int]] = field(default_factory=dict)
    tokenizer: TextTokenizer | None = None
    doubtful: bool = False

    def checker(self, split: str) -> SplitChecker:
        """A fresh judge of a split's records; all passes judge alike."""
        repeated = self.repeated.get(split, ())
        return SplitChecker(self.images, self.allowed, repeated, self.tokenizer)


def chosen_splits(reader: Reader, options: Options) -> list[str]:
    """``--splits``, or all that are there; never none."""
    present = reader.splits()
    if not present:
        raise reader.nothing_found()
    if options.splits is None:
        return present
    unknown = [name for name in options.splits if name not in present]
    if unknown:
        raise UserError(
            f"--splits {','.join(options.splits)}: no files of split {unknown[0]!r} in "
            f"{reader.raw}; there are {', '.join(present)}"
        )
    return [name for name in present if name in options.splits]


def survey(
    reader: Reader, splits: list[str], options: Options, tokenizer: TextTokenizer | None = None
) -> Survey:
    """Read all records once. With ``--on-error fail``, any fault ends here.

    The tokenizer is made from the texts, so the first survey has none; if texts are ``doubtful``,
    a second one with the tokenizer takes its place.
    """
    fixed = fixed_classes(reader, options)
    allowed = None if fixed is None else {name: i for i, name in enumerate(fixed)}
    result = Survey(ImageTable(reader.image_path), allowed=allowed, tokenizer=tokenizer)
    for split in splits:
        _survey_split(result, reader, split, options)
    return result


def _survey_split(result: Survey, reader: Reader, split: str, options: Options) -> None:
    before = len(result.images)
    found = _pass_over(result, reader, split, options)
    result.repeated[split] = found.repeated_ids()
    if result.repeated[split]:
        # Rare, so it may cost a second pass, in which every id counts once.
        result.images.keep(before)
        found = _pass_over(result, reader, split, options)
    if found.total == 0:
        why = reader.remark(split)
        told = f": {why}" if why else ""
        raise UserError(f"split {split!r} of {reader.raw} has no records at all{told}")
    _must_be_usable(found, f"of split {split!r} in {_places(reader)}", options)
    result.samples[split], result.records[split] = found.good, found.total
    if found.answers:
        result.answers[split] = found.answers
    result.spellings.update(found.spellings)
    result.class_names |= found.class_names


@dataclass
class _Pass:
    """What one pass over a split's records found."""

    with_spellings: bool
    total: int = 0
    good: int = 0
    first_fault: BadRecord | None = None
    id_hashes: array[int] = field(default_factory=lambda: array("q"))
    answers: Counter[str] = field(default_factory=Counter)
    spellings: Spellings = field(default_factory=Spellings)
    class_names: set[str] = field(default_factory=set)

    def repeated_ids(self) -> frozenset[int]:
        """Hashes of the ids of usable records that occur more than once."""
        values = np.frombuffer(self.id_hashes, np.int64)
        values.sort()  # in place: nothing needs their order
        return frozenset(values[1:][values[1:] == values[:-1]].tolist())

    def note(self, records: Iterator[Record | BadRecord]) -> Iterator[Record | BadRecord]:
        """Count answers and labels of all well-formed records on their way."""
        for record in records:
            if isinstance(record, Record):
                if record.majority is not None:
                    majority = normalize_answer(record.majority)
                    self.answers[majority] += 1
                    if self.with_spellings:
                        self.spellings.add(record.answers or (), majority)
                if record.label is not None:
                    self.class_names.add(record.label)
            yield record


def _pass_over(result: Survey, reader: Reader, split: str, options: Options) -> _Pass:
    found = _Pass(with_spellings=reader.warns_of_lost_answers)
    records = records_of(reader, split, options.clean_text)
    for record in result.checker(split).judge(found.note(records)):
        found.total += 1
        if isinstance(record, BadRecord):
            found.first_fault = found.first_fault or record
            continue
        found.good += 1
        result.doubtful = result.doubtful or may_leave_nothing(record.text)
        found.id_hashes.append(hash(record.sample_id))
        for key in record.images:
            result.images.use(key)
    return found


def _must_be_usable(found: _Pass, source: str, options: Options) -> None:
    fault, total = found.first_fault, found.total
    if fault is None:
        return
    message = f"{fault.where}: {fault.reason}"
    bad = total - found.good
    if found.good == 0:
        raise UserError(f"{message} (none of the {total:,} records {source} can be used)")
    if not options.skip_bad:
        raise UserError(
            f"{message} ({bad:,} of {total:,} records {source} are bad; --on-error skip "
            "leaves them out and lists them in metadata.json)"
        )


def _places(reader: Reader) -> str:
    """Where records and pictures were looked for."""
    if reader.image_root == reader.raw:
        return str(reader.raw)
    return f"{reader.raw} with pictures in {reader.image_root}"


def fixed_classes(reader: Reader, options: Options) -> list[str] | None:
    """Classes that are known before any record: from a file, or from the dataset."""
    if options.answer_list is not None:
        return read_answer_list(options.answer_list)
    return reader.classes()


def classes_of(result: Survey, options: Options) -> list[str] | None:
    """Classes in order: those fixed before, else from answers, else from labels."""
    if result.allowed is not None:
        return list(result.allowed)
    if result.answers:
        answers: Counter[str] = Counter()
        for of_split in result.answers.values():
            answers.update(of_split)
        kept = [a for a, n in answers.items() if n >= options.min_answer_count]
        if not kept:
            most = answers.most_common(1)[0]
            raise UserError(
                f"--min-answer-count {options.min_answer_count}: no answer occurs so often (the "
                f"most frequent, {most[0]!r}, {most[1]} times); lower it or give --answer-list"
            )
        return kept
    return sorted(result.class_names) or None
