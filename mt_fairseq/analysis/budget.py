"""Parameters and FLOPs of every architecture beside the papers' tables."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mt_fairseq.analysis.budget_tables import (
    ArchitectureRow,
    BridgeRow,
    LayersRow,
    ManagerRow,
    ModelRow,
    PartRow,
    architecture_rows,
    bridge_rows,
    layers_rows,
    manager_rows,
    model_rows,
    part_rows,
    timed_variants,
)
from mt_fairseq.analysis.flops import Inputs
from mt_fairseq.analysis.latency import BASELINE, LatencyRow, latency_rows, usable_device
from mt_fairseq.analysis.markdown import table
from mt_fairseq.command_line import natural_int
from mt_fairseq.errors import UserError

CONVENTIONS = """\
Parameters (M: millions) without task heads. "papers" counts as the official code does: with parts
that nothing reads (RoBERTa's pooler, CLIP's text positions and norm, an idle temperature). "FLOPs"
(G: billions) are multiply-adds of linear layers, matrix products and convolutions, and 5 operations
an element for each layer norm (fvcore's count); "papers" norms every expert at every level, "ours"
counts what this implementation runs: one norm an expert, shared by all levels, and a fused query
that projects the shorter sequence alone."""


@dataclass(frozen=True)
class Budget:
    """All tables of the command."""

    models: list[ModelRow]
    bridges: list[BridgeRow]
    layers: list[LayersRow]
    parts: list[PartRow]
    managers: list[ManagerRow]
    architectures: list[ArchitectureRow]

    @classmethod
    def count(cls) -> Budget:
        """Count everything on the meta device: seconds, and no memory to speak of."""
        return cls(
            model_rows(),
            bridge_rows(),
            layers_rows(),
            part_rows(),
            manager_rows(),
            architecture_rows(),
        )

    def text(self) -> str:
        """Every table in Markdown, each with its convention."""
        blocks = (
            self._models(),
            self._bridges(),
            self._layers(),
            self._parts(),
            self._managers(),
            self._all(),
        )
        return "\n\n".join(blocks)

    def _models(self) -> str:
        head = ["BASE", "M, papers", "Table 6", "official code", "M, ours"]
        head += ["G, papers", "Table 6", "official code", "G, ours"]
        lines = []
        for r in self.models:
            lines.append([
                r.name,
                f"{r.parameters_papers / 1e6:.2f}", r.table_6_parameters or "-",
                f"{r.code_parameters / 1e6:.2f}" if r.code_parameters else "-",
                f"{r.parameters / 1e6:.2f}",
                f"{r.multiply_adds_papers / 1e9:.3f}", r.table_6_flops or "-",
                r.code_flops or "-", f"{r.multiply_adds / 1e9:.3f}",
            ])  # fmt: skip
        title = "## One pair, 384x384 pixels and 50 tokens: ManagerTower, Table 6"
        return f"{title}\n{CONVENTIONS}\n\n{table(head, lines)}"

    def _bridges(self) -> str:
        lines = [[f"({r.letter})", r.counted, r.printed, f"{r.parameters:,}"] for r in self.bridges]
        title = "## Bridges: BridgeTower, design I"
        note = "Six levels, both modalities. The paper counts the layer norms for (a) to (c) and, "
        note += "where they vanish\nbeside the matrices, neither norms nor biases. Its 26.0K is "
        note += "18.4K of norms and 7.68K of weights, cut to 7.6K."
        head = ["bridge", "counted so", "printed", "ours, norms and biases in"]
        return f"{title}\n{note}\n\n{table(head, lines)}"

    def _layers(self) -> str:
        lines = [[str(r.layers), f"{r.parameters / 1e6:.1f}", r.printed] for r in self.layers]
        note = "Co-attention layers alone. The print has 0.1 more for 3 and 5 layers, which no "
        note += "whole layer explains:\nall other rows are multiples of 18.90."
        title = "## Cross-modal layers, M: BridgeTower, design II"
        return f"{title}\n{note}\n\n{table(['L_C', 'counted', 'printed'], lines)}"

    def _parts(self) -> str:
        lines = [[r.part, f"{r.parameters / 1e6:.2f}", r.printed, r.note] for r in self.parts]
        note = (
            "The print cuts fractions off, and its totals of 323M and 859M are sums of such parts."
        )
        title = "## Parts, M: BridgeTower, model variants"
        return f"{title}\n{note}\n\n{table(['part', 'counted', 'printed', ''], lines)}"

    def _managers(self) -> str:
        lines = [
            [r.name, f"{r.parameters / 1e6:.2f}", f"{r.multiply_adds / 1e9:.3f}"]
            for r in self.managers
        ]
        title = "## Every manager, ours: managertower_base, 384x384 pixels and 50 tokens"
        return f"{title}\n\n{table(['--manager-type', 'M', 'G'], lines)}"

    def _all(self) -> str:
        lines = [
            [r.name, f"{r.height}x{r.width}", str(r.tokens), f"{r.parameters / 1e6:.2f}",
             f"{r.multiply_adds / 1e9:.3f}"]
            for r in self.architectures
        ]  # fmt: skip
        title = "## Every architecture, ours"
        head = ["--arch", "pixels", "tokens", "M", "G"]
        return f"{title}\nThe tiny ones with the vocabulary of `make demo`.\n\n{table(head, lines)}"


def latency_text(rows: list[LatencyRow], rounds: int, device: str) -> str:
    """The timed models in Markdown."""
    lines = [
        [r.name, f"{r.milliseconds:.1f}", f"{r.lowest:.1f} to {r.highest:.1f}", f"{r.ratio:.3f}",
         f"{r.table_6_ratio:.3f}" if r.table_6_ratio else "-"]
        for r in rows
    ]  # fmt: skip
    note = (
        f"One pair, 384x384 pixels and 50 tokens, without a task's head, float32, {device}, "
        f"{rounds} rounds in which\nthe models take turns. Ratio: the median of a model's time by "
        f"{BASELINE}'s in the same round; the paper's\nis of its means on a TITAN V."
    )
    head = ["BASE", "ms", "lowest to highest", f"by {BASELINE}", "Table 6"]
    return f"## Latency\n{note}\n\n{table(head, lines)}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures there as well")
    parser.add_argument(
        "--latency",
        metavar="ROUNDS",
        type=natural_int,
        default=0,
        help="also time one pair through the models of Table 6, so many times each (needs 10 GB)",
    )
    parser.add_argument("--device", default="cpu", help="of --latency: cpu, cuda, cuda:1 (cpu)")


def run(args: argparse.Namespace) -> int:
    """Print the tables; exit code 0.

    Raises UserError if the JSON file has no folder to go to, or for a device or number of rounds
    that cannot be.
    """
    usable_device(args.device)
    if args.json and not args.json.absolute().parent.is_dir():
        raise UserError(f"--json {args.json}: no such folder")
    budget = Budget.count()
    print(budget.text())
    content: dict[str, Any] = asdict(budget)
    if args.latency:
        rows = latency_rows(timed_variants(), Inputs(), args.latency, args.device)
        print(f"\n{latency_text(rows, args.latency, args.device)}")
        content["latency"] = [asdict(row) for row in rows]
    if args.json:
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0
