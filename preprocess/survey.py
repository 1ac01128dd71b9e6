"""The first pass over the records: find every fault that needs no picture to be decoded."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.errors import UserError
from preprocess.check import ImageTable, SplitChecker
from preprocess.datasets.registry import Reader
from preprocess.options import Options
from preprocess.records import BadRecord, Record


@dataclass
class Survey:
    """What is known before the long work starts.

    Args:
        images: every image that a usable record needs.
        samples: usable records of each split, before pictures are decoded.
        records: all records of each split.
        answers: normalised majority answers and how often each was seen, by first appearance.
            Records without a picture count too, so that classes depend on the text alone.
        class_names: labels seen.
    """

    images: ImageTable
    samples: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    class_names: set[str] = field(default_factory=set)


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


def survey(reader: Reader, splits: list[str], options: Options) -> Survey:
    """Read all records once. With ``--on-error fail``, any fault ends here."""
    result = Survey(ImageTable(reader.image_path))
    for split in splits:
        _survey_split(result, reader, split, options)
    return result


def _survey_split(result: Survey, reader: Reader, split: str, options: Options) -> None:
    checker = SplitChecker(result.images)
    total = good = 0
    first_fault: BadRecord | None = None
    seen = array("q")
    for record in checker.judge(_counted(reader.records(split), result)):
        total += 1
        if isinstance(record, BadRecord):
            first_fault = first_fault or record
            continue
        good += 1
        seen.append(hash(record.sample_id))
        for key in record.images:
            result.images.use(key)
    if total == 0:
        raise UserError(f"split {split!r} of {reader.raw} has no records at all")
    _must_be_usable(first_fault, total, good, f"of split {split!r} in {_places(reader)}", options)
    if len(np.unique(np.asarray(seen))) < good:
        raise UserError(f"{_twice(reader, split, checker)} (split {split!r})")
    result.samples[split] = good
    result.records[split] = total


def _counted(records: Iterator[Record | BadRecord], result: Survey) -> Iterator[Record | BadRecord]:
    """Note answers and labels of all well-formed records on their way."""
    for record in records:
        if isinstance(record, Record):
            if record.majority is not None:
                result.answers[normalize_answer(record.majority)] += 1
            if record.label is not None:
                result.class_names.add(record.label)
        yield record


def _must_be_usable(
    fault: BadRecord | None, total: int, good: int, source: str, options: Options
) -> None:
    if fault is None:
        return
    message = f"{fault.where}: {fault.reason}"
    bad = total - good
    if good == 0:
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


def _twice(reader: Reader, split: str, checker: SplitChecker) -> str:
    """Name a sample id that occurs twice."""
    seen: dict[int | str, str] = {}
    for record in checker.judge(reader.records(split)):
        if isinstance(record, Record):
            if record.sample_id in seen:
                return (f"{record.where}: its id {record.sample_id!r} was taken by "
                        f"{seen[record.sample_id]}; ids must differ within a split")  # fmt: skip
            seen[record.sample_id] = record.where
    return "two records have the same id"


def classes_of(result: Survey, reader: Reader, options: Options) -> list[str] | None:
    """Classes in order: from a file, from the dataset, from answers, or from labels."""
    if options.answer_list is not None:
        return read_answer_list(options.answer_list)
    fixed = reader.classes()
    if fixed is not None:
        return fixed
    if result.answers:
        kept = [a for a, n in result.answers.items() if n >= options.min_answer_count]
        if not kept:
            most = result.answers.most_common(1)[0]
            raise UserError(
                f"--min-answer-count {options.min_answer_count}: no answer occurs so often (the "
                f"most frequent, {most[0]!r}, {most[1]} times); lower it or give --answer-list"
            )
        return kept
    return sorted(result.class_names) or None


def read_answer_list(path: Path) -> list[str]:
    """Classes from a JSON list, a JSON object answer -> class, or one answer a line.

    The empty string may be a class: in the usual 3,129 answers of VQA v2 it is class 0.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--answer-list {path}: cannot be read ({error})") from error
    if path.suffix == ".json":
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"--answer-list {path}: not valid JSON (line {error.lineno}: "
                            f"{error.msg})") from error  # fmt: skip
        answers = _in_order(value, path) if isinstance(value, dict) else value
    else:
        answers = text.removesuffix("\n").split("\n") if text else []
    if not isinstance(answers, list) or not all(isinstance(x, str) for x in answers):
        raise UserError(f"--answer-list {path}: must hold answers as strings")
    if not answers:
        raise UserError(f"--answer-list {path}: holds no answers")
    if len(set(answers)) != len(answers):
        twice = Counter(answers).most_common(1)[0][0]
        raise UserError(f"--answer-list {path}: {twice!r} occurs twice")
    return answers


def _in_order(value: dict[str, object], path: Path) -> list[str]:
    if sorted(value.values(), key=str) != sorted(range(len(value)), key=str):
        raise UserError(f"--answer-list {path}: classes must be 0 to {len(value) - 1}, each once")
    return sorted(value, key=lambda answer: value[answer])  # type: ignore[arg-type,return-value]
