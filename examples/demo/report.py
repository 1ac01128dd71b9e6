"""The table at the end: the model beside what needs no picture, with 95 % bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from examples.demo.baselines import credits_of, interval, predict_majority, question_only
from examples.demo.commands import SPLIT, Places
from examples.demo.raw import VqaSplit, read_vqa_split
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

WANTED_GAIN = 10.0  # points over the stronger baseline, lower 95 % bound


@dataclass(frozen=True)
class Row:
    """A line of the table, all in percent."""

    name: str
    score: float
    low: float
    high: float
    by_answer_type: dict[str, float]


@dataclass(frozen=True)
class Report:
    """The table, and the gain over the stronger baseline with its bounds."""

    questions: int
    rows: list[Row]
    gain: tuple[float, float, float]  # points: mean, lower and upper bound
    shuffled_gain: tuple[float, float, float]  # the same with shuffled pictures

    @property
    def passed(self) -> bool:
        return self.gain[1] >= WANTED_GAIN

    def text(self) -> str:
        """The table in Markdown."""
        types = list(self.rows[0].by_answer_type)
        head = ["VQA accuracy, %", "all", "95 % bounds", *types]
        lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
        for row in self.rows:
            by_type = [f"{row.by_answer_type[t]:.1f}" for t in types]
            bounds = f"{row.low:.1f} to {row.high:.1f}"
            lines.append([row.name, f"{row.score:.1f}", bounds, *by_type])
        table = "\n".join(f"| {' | '.join(line)} |" for line in _aligned(lines))
        mean, low, high = self.gain
        verdict = (
            f"The model is {mean:.1f} points (95 %: {low:.1f} to {high:.1f}) above the stronger "
            f"baseline on {self.questions} held-out questions; with other pictures, "
            f"{self.shuffled_gain[0]:+.1f} points "
            f"(95 %: {self.shuffled_gain[1]:+.1f} to {self.shuffled_gain[2]:+.1f})."
        )
        return f"{table}\n\n{verdict}\n"


def _aligned(lines: list[list[str]]) -> list[list[str]]:
    """Cells of a column padded to one width, the first column to the left."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    ]


def make_report(places: Places, folder: Path) -> Report:
    """Score the answers of both runs of fairseq-generate against the official files."""
    train, test = read_vqa_split(folder, "train2014"), read_vqa_split(folder, "val2014")
    name, words_only = question_only(train, test)
    majority = credits_of(predict_majority(train, test), test)
    answered = {key: _credits(places, key, test) for key in (SPLIT, "shuffled")}
    rows = [
        _row("ManagerTower, pictures and questions", answered[SPLIT], test),
        _row("the same, pictures shuffled", answered["shuffled"], test),
        _row(f"question only ({name})", words_only, test),
        _row("majority answer", majority, test),
    ]
    stronger = max(words_only, majority, key=lambda credits: credits.mean())
    gains = [interval(answered[key] - stronger, test.image_ids) for key in (SPLIT, "shuffled")]
    return Report(len(test), rows, gains[0], gains[1])


def write_report(report: Report, out: Path, seconds: dict[str, float]) -> None:
    """table.md and results.json."""
    (out / "table.md").write_text(report.text(), encoding="utf-8")
    content = {**asdict(report), "passed": report.passed, "seconds": seconds}
    (out / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _row(name: str, credits: NDArray[np.float64], test: VqaSplit) -> Row:
    types = np.asarray([a["answer_type"] for a in test.annotations])
    by_type = {str(t): 100 * float(credits[types == t].mean()) for t in np.unique(types)[::-1]}
    return Row(name, *interval(credits, test.image_ids), by_type)


def _credits(places: Places, key: str, test: VqaSplit) -> NDArray[np.float64]:
    """Credit of each question of ``test`` from what fairseq-generate wrote."""
    split = DataBin(places.questions).split(SPLIT)
    path = places.answers(key)
    with path.open(encoding="utf-8") as lines:
        best = best_answers(lines)
    answers = {split.sample_id(row): answer for row, answer in best.items()}
    lacking = [q for q in test.question_ids if q not in answers]
    if lacking:
        raise UserError(f"{path}: has no answer to {len(lacking)} questions, as {lacking[0]}")
    return credits_of([answers[question] for question in test.question_ids], test)


def best_answers(lines: Iterable[str]) -> dict[int, str]:
    """Row of the split -> its first H- line's text, in fairseq-generate's output."""
    found: dict[int, str] = {}
    for line in lines:
        match = re.match(r"H-(\d+)\t[^\t]*\t(.*)$", line.rstrip("\n"))
        if match:
            found.setdefault(int(match[1]), match[2])
    return found
