"""Result folders of ``python -m mt_fairseq.evaluate``, and two of them put side by side."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_fairseq.data.answer_rules import OFFICIAL
from mt_fairseq.data.files import read_json
from mt_fairseq.data.json_text import parse_json
from mt_fairseq.errors import UserError

SCORE, RESULTS = "score.json", "results.jsonl"
ANSWER_RULE = "answer_rule"
SAME = ("task", "split", "scoring", ANSWER_RULE)
"""What two runs must have in common to be compared."""
BEFORE = {ANSWER_RULE: OFFICIAL}
"""What held for all results of the time when score.json did not say it."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What ``evaluate`` wrote: score.json, and the records of results.jsonl by sample."""

    folder: Path
    score: dict[str, Any]
    records: dict[Hashable, Record]


def read_run(folder: Path) -> Run:
    """Raises UserError if the folder holds no results, or results that are damaged."""
    for name in (SCORE, RESULTS):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder}: has no {name}; name a folder that `python -m mt_fairseq.evaluate` wrote"
            )
    records: dict[Hashable, Record] = {}
    with open(folder / RESULTS, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            record = _record(line, f"{folder / RESULTS}: line {number}")
            key = sample_key(record)
            if key in records:
                raise UserError(f"{folder / RESULTS}: line {number}: sample {name_of(key)} again")
            records[key] = record
    return Run(folder, read_json(folder / SCORE), records)


def _record(line: str, place: str) -> Record:
    try:
        record = parse_json(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: no JSON ({error.msg})") from error
    if not isinstance(record, dict) or not {"id", "prediction", "credit"} <= record.keys():
        raise UserError(f"{place}: no result with id, prediction and credit")
    return record


def sample_key(record: Record) -> Hashable:
    """A sample's id; in retrieval texts and images may share one, so with the direction."""
    return (record["direction"], record["id"]) if "direction" in record else record["id"]


def name_of(key: Hashable) -> str:
    """A key as a person reads it."""
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


@dataclass(frozen=True)
class RunPair:
    """Two runs on the same samples; a sample's records stand at the same place.

    Attributes:
        a, b: the runs.
        first, second: their records of the samples with a reference, in A's order.
    """

    a: Run
    b: Run
    first: list[Record]
    second: list[Record]

    @cached_property
    def credits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n,) credits of A and of B."""
        return _credits(self.first), _credits(self.second)

    @property
    def pictures(self) -> list[Hashable]:
        """What each sample is about: its picture, both of a pair, or else the sample itself."""
        return [_picture(record) for record in self.first]

    def groupings(self) -> dict[str, list[str]]:
        """Columns by which samples are grouped (answer_type, ...): each sample's group, or ""."""
        names = dict.fromkeys(name for record in self.first for name in record if is_grouping(name))
        columns = {name: [str(r.get(name) or "") for r in self.first] for name in names}
        return {name: groups for name, groups in columns.items() if len(set(groups) - {""}) > 1}


def is_grouping(name: str) -> bool:
    """Whether a field of a record says what kind of sample it is."""
    return name == "direction" or name.endswith("_type")


def _credits(records: list[Record]) -> NDArray[np.float64]:
    return np.array([float(record["credit"]) for record in records])


def _picture(record: Record) -> Hashable:
    image = record.get("image")
    if isinstance(image, list):
        return tuple(map(str, image))
    return str(image) if image else ("sample", sample_key(record))


def pair_runs(a: Run, b: Run) -> RunPair:
    """Raises UserError unless both are about the same samples with the same references."""
    for name in SAME:
        ours, theirs = (run.score.get(name, BEFORE.get(name)) for run in (a, b))
        if ours != theirs:
            raise UserError(
                f"{a.folder} has {name} {ours}, {b.folder} has {theirs}: not the same; evaluate "
                "one of them again"
            )
    for one, other in ((a, b), (b, a)):
        lacking = one.records.keys() - other.records.keys()
        if lacking:
            raise UserError(
                f"{other.folder}: lacks {len(lacking)} samples of {one.folder}, "
                f"{min(map(name_of, lacking))} for one: both must be of the same data"
            )
    pairs = [(record, b.records[key]) for key, record in a.records.items()]
    for record, twin in pairs:
        if record.get("reference") != twin.get("reference"):
            raise UserError(
                f"sample {name_of(sample_key(record))} has another reference in {b.folder} than in "
                f"{a.folder}: both must be of the same data"
            )
    scored = [pair for pair in pairs if None not in (pair[0]["credit"], pair[1]["credit"])]
    if not scored:
        raise UserError(f"{a.folder}: split {a.score.get('split')} has no references to score by")
    return RunPair(a, b, [first for first, _ in scored], [second for _, second in scored])
