"""The command of every analysis that averages over a split: measure each model, draw, write."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure

from mt_fairseq.analysis.figures import Output
from mt_fairseq.analysis.passes import Pass
from mt_fairseq.analysis.subjects import Material, open_subjects, run_split
from mt_fairseq.models.two_tower.model import TwoTowerModel

Found = TypeVar("Found")


@dataclass(frozen=True)
class Analysis(Generic[Found]):
    """One analysis.

    Attributes:
        name: of its files.
        title: what the caption begins with.
        check: UserError for a model that has nothing to measure; before it is run.
        measure: (model, passes drawn from it lazily) -> what was found.
        draw: (label -> what was found, caption) -> figure.
        rows: what was found -> rows of the table.
    """

    name: str
    title: str
    check: Callable[[TwoTowerModel], None]
    measure: Callable[[TwoTowerModel, Iterable[Pass]], Sequence[Found]]
    draw: Callable[[dict[str, Sequence[Found]], str], Figure]
    rows: Callable[[Sequence[Found]], list[dict[str, Any]]]

    def run(self, args: argparse.Namespace) -> int:
        """Write NAME.png, .svg and .csv for the checkpoints of the command line; exit code 0."""
        material = Material.of(args)
        output = Output(args.out, [self.name], args.overwrite)
        models: dict[str, Sequence[Found]] = {}
        rows: list[dict[str, Any]] = []
        source = {"split": material.split, "samples": len(material.indices)}
        for subject in open_subjects(args):
            self.check(subject.model)
            found = self.measure(subject.model, run_split(subject, material))
            models[subject.label] = found
            rows += [{"model": subject.label, **row, **source} for row in self.rows(found)]
        caption = f"{self.title}: {', '.join(models)}; {material.caption()}"
        output.save_figure(self.name, self.draw(models, caption))
        output.save_table(self.name, rows)
        print(output.describe([self.name]))
        return 0
