"""The table at the end: the model beside what needs no image, with 95 % bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from examples.demo.baselines import interval, predict_majority, text_only
from examples.demo.commands import SPLIT
from examples.demo.samples import Samples
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
    by_kind: dict[str, float]


@dataclass(frozen=True)
class Report:
    """The table, and the gain over the stronger baseline with its bounds.

    Attributes:
        metric: what the rows hold.
        noun: what was scored, "questions" say.
        samples: how many.
        rows: the model first.
        gain: points over the stronger baseline: mean, lower and upper bound.
        shuffled_gain: the same with shuffled images.
    """

    metric: str
    noun: str
    samples: int
    rows: list[Row]
    gain: tuple[float, float, float]
    shuffled_gain: tuple[float, float, float]

    @property
    def passed(self) -> bool:
        return self.gain[1] >= WANTED_GAIN

    def text(self) -> str:
        """The table in Markdown."""
        kinds = list(self.rows[0].by_kind)
        head = [f"{self.metric}, %", "all", "95 % bounds", *kinds]
        lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
        for row in self.rows:
            by_kind = [f"{row.by_kind[kind]:.1f}" for kind in kinds]
            bounds = f"{row.low:.1f} to {row.high:.1f}"
            lines.append([row.name, f"{row.score:.1f}", bounds, *by_kind])
        table = "\n".join(f"| {' | '.join(line)} |" for line in _aligned(lines))
        mean, low, high = self.gain
        verdict = (
            f"The model is {mean:.1f} points (95 %: {low:.1f} to {high:.1f}) above the stronger "
            f"baseline on {self.samples} held-out {self.noun}; with other images, "
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


def make_report(
    metric: str,
    noun: str,
    train: Samples,
    test: Samples,
    answered: Mapping[str, Sequence[str]],
) -> Report:
    """Score the model's answers and what needs no image.

    Args:
        metric, noun: for the table.
        train: what the baselines learn from.
        test: the held-out samples.
        answered: the model's answers to them with their own images ("valid"), and "shuffled".
    """
    name, texts_only = text_only(train, test)
    majority = test.credits(predict_majority(train, test))
    model = {key: test.credits(answers) for key, answers in answered.items()}
    rows = [
        _row("ManagerTower, images and texts", model[SPLIT], test),
        _row("the same, images shuffled", model["shuffled"], test),
        _row(f"text only ({name})", texts_only, test),
        _row("majority answer", majority, test),
    ]
    stronger = max(texts_only, majority, key=lambda credits: credits.mean())
    gains = [interval(model[key] - stronger, test.groups) for key in (SPLIT, "shuffled")]
    return Report(metric, noun, len(test.texts), rows, gains[0], gains[1])


def write_report(report: Report, folder: Path, seconds: dict[str, float]) -> None:
    """table.md and results.json."""
    (folder / "table.md").write_text(report.text(), encoding="utf-8")
    content = {**asdict(report), "passed": report.passed, "seconds": seconds}
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _row(name: str, credits: NDArray[np.float64], test: Samples) -> Row:
    kinds = np.asarray(test.kinds)
    by_kind = {str(kind): 100 * float(credits[kinds == kind].mean()) for kind in np.unique(kinds)}
    return Row(name, *interval(credits, test.groups), by_kind)


def read_answers(path: Path, data: Path, ids: Sequence[Hashable]) -> list[str]:
    """The answer to each sample from what fairseq-generate wrote of the data-bin.

    Raises UserError if one was not answered.
    """
    split = DataBin(data).split(SPLIT)
    with path.open(encoding="utf-8") as lines:
        answers = {split.sample_id(row): answer for row, answer in best_answers(lines).items()}
    lacking = [one for one in ids if one not in answers]
    if lacking:
        raise UserError(f"{path}: has no answer to {len(lacking)} samples, as {lacking[0]}")
    return [answers[one] for one in ids]


def best_answers(lines: Iterable[str]) -> dict[int, str]:
    """Row of the split -> its first H- line's text, in fairseq-generate's output."""
    found: dict[int, str] = {}
    for line in lines:
        match = re.match(r"H-(\d+)\t[^\t]*\t(.*)$", line.rstrip("\n"))
        if match:
            found.setdefault(int(match[1]), match[2])
    return found
