"""The comparison: mean and spread over seeds, and each model's difference to one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from examples.demo.baselines import interval
from examples.demo.report import best_answers
from examples.sweep.commands import SPLIT, Run, model_options
from mt_fairseq.analysis.markdown import table
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.vqa import answer_credit

BASELINE = "bridgetower"  # what the paper compares its managers with


@dataclass(frozen=True)
class Row:
    """A model; scores in percent, differences in points to the baseline."""

    model: str
    scores: list[float]  # one a seed
    mean: float
    spread: float | None  # standard deviation over seeds; None for a single one
    differences: list[float] | None  # one a seed; None for the baseline itself
    difference: tuple[float, float, float] | None  # mean and 95 % bounds over images


@dataclass(frozen=True)
class Comparison:
    """What the sweep has found."""

    questions: int
    updates: int
    seeds: list[int]
    baseline: str
    rows: list[Row]

    def text(self) -> str:
        """The table in Markdown, with how to read it."""
        name = model_options(self.baseline)[0]
        head = ["VQA accuracy, %", "mean", "spread", "each seed"]
        head += [f"- {name}", "95 % bounds", "each seed"]
        lines = [_cells(row) for row in self.rows]
        return (
            f"{table(head, lines)}\n\n"
            f"{self.questions} held-out questions; {self.updates} updates from random weights, "
            f"seeds {', '.join(map(str, self.seeds))}.\n"
            "Spread: standard deviation over seeds. Bounds: of the difference averaged over seeds,"
            "\nquestion by question, from a bootstrap over images; they say nothing about other "
            "seeds,\nwhich the differences of each seed show.\n"
        )


def _cells(row: Row) -> list[str]:
    spread = "-" if row.spread is None else f"{row.spread:.2f}"
    scores = " ".join(f"{score:.1f}" for score in row.scores)
    cells = [model_options(row.model)[0], f"{row.mean:.2f}", spread, scores]
    if row.difference is None or row.differences is None:
        return [*cells, "", "", ""]
    mean, low, high = row.difference
    each = " ".join(f"{difference:+.1f}" for difference in row.differences)
    return [*cells, f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}", each]


def credits_of_run(run: Run, data: DataBin) -> NDArray[np.float64]:
    """VQA accuracy of each held-out question, from 0 to 1, in the order of the split."""
    split, official = data.split(SPLIT), data.official_answers(SPLIT)
    with run.answers.open(encoding="utf-8") as lines:
        best = best_answers(lines)
    lacking = set(range(len(split))) - best.keys()
    if lacking:
        raise UserError(f"{run.answers}: has no answer to {len(lacking)} questions")
    credits = [
        answer_credit(best[i], split.value("answers", i), bool(official[i]))
        for i in range(len(split))
    ]
    return np.asarray(credits, dtype=np.float64)


def compare(
    credits: Mapping[str, NDArray[np.float64]],
    images: Sequence[int],
    seeds: Sequence[int],
    updates: int,
) -> Comparison:
    """The comparison of all models.

    Args:
        credits: model -> (seeds, questions) credits from 0 to 1.
        images: (questions,) which image each question is about.
        seeds, updates: of the runs.
    """
    baseline = BASELINE if BASELINE in credits else next(iter(credits))
    rows = []
    for model, values in credits.items():
        scores = 100 * values.mean(axis=1)
        gains = values - credits[baseline]
        other = model != baseline
        rows.append(
            Row(
                model,
                scores=[float(score) for score in scores],
                mean=float(scores.mean()),
                spread=float(scores.std(ddof=1)) if len(scores) > 1 else None,
                differences=[100 * float(g) for g in gains.mean(axis=1)] if other else None,
                difference=interval(gains.mean(axis=0), images) if other else None,
            )
        )
    return Comparison(len(images), updates, list(seeds), baseline, rows)


def write_comparison(comparison: Comparison, out: Path) -> None:
    """table.md and results.json."""
    (out / "table.md").write_text(comparison.text(), encoding="utf-8")
    content = {**asdict(comparison), "split": SPLIT}
    (out / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
