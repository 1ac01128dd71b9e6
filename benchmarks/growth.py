"""How time and memory of a training step grow with image size, text length, N and L_C.

Forward and backward of a ManagerTower with base's twelve layers an encoder at a quarter of its
width, one pair, training mode; one size grows, the others stay. Memory is what the forward pass
keeps for the backward pass, parameters left out: what grows in a step, free of the allocator's
slack. Each line's target compares two factors, of the largest size over the smallest: that of the
time and that of the counted operations. Below 1, the machine is used the better the larger the
step; beyond 1.25 something grows that the mathematics does not ask for.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.flops import count_flops
from benchmarks.measure import in_turns
from benchmarks.registry import register_benchmark
from benchmarks.result import Result, number
from benchmarks.small_model import VOCABULARY, small_model

WIDTH, LAYERS = 192, 12
TARGET = 1.25
USUAL = {
    "image_size": 288,
    "text_length": 50,
    "num_managed_layers": 6,
    "num_cross_modal_layers": 6,
}
TIME, OPERATIONS = "growth of time", "growth of operations"


@dataclass(frozen=True)
class Axis:
    """One size, the values that it takes, and why its exponent is what it is."""

    label: str
    values: Sequence[int]
    comment: str


AXES = {
    "image_size": Axis(
        "image side in pixels",
        (224, 288, 384, 480, 576),
        "patches grow with the square of the side, so linear layers with exponent 2, attention "
        "among patches with 4; at base's width the linear layers weigh more, nearer to 2",
    ),
    "text_length": Axis(
        "text tokens",
        (16, 32, 64, 128, 256),
        "linear in the text's own layers, which are a small part beside 325 image positions; "
        "so a short text costs next to nothing, and padding it to 50 little at 288 pixels",
    ),
    "num_managed_layers": Axis(
        "managed layers N",
        (1, 3, 6, 9, 12),
        "a manager adds N weighted states of D channels, no matrix product over them: next to "
        "nothing in operations, a little in memory traffic",
    ),
    "num_cross_modal_layers": Axis(
        "cross-modal layers L_C",
        (1, 2, 4, 6, 12),
        "linear, upon the constant of both encoders, hence below 1; steeper than the operations, "
        "which count products alone: at a quarter of base's width the managers' sums and norms "
        "weigh four times as much beside them",
    ),
}


@dataclass
class Curve:
    """What was found at each value of one axis; seconds round by round."""

    seconds: list[list[float]] = field(default_factory=list)
    operations: list[int] = field(default_factory=list)
    bytes_kept: list[int] = field(default_factory=list)


@register_benchmark("growth", "time and memory against image size, text length, N and L_C", 5)
def growth(args: argparse.Namespace) -> list[Result]:
    """One line an axis; with ``--json FILE`` a figure beside the file, FILE's name with .png."""
    curves = {name: measure(name, axis.values, args.rounds) for name, axis in AXES.items()}
    if args.json:
        draw(curves, Path(args.json).with_suffix(".png"))
    return [line(name, axis, curves[name]) for name, axis in AXES.items()]


def measure(name: str, values: Sequence[int], rounds: int) -> Curve:
    """All values of an axis, in turns."""
    curve = Curve()
    steps: dict[str, Step] = {}
    for value in values:
        step = Step(**{**USUAL, name: value})
        curve.operations.append(count_flops(step))
        curve.bytes_kept.append(step.kept())
        steps[str(value)] = step
    curve.seconds = list(in_turns(steps, rounds).values())
    return curve


class Step:
    """Forward and backward of one pair."""

    def __init__(
        self,
        image_size: int,
        text_length: int,
        num_managed_layers: int,
        num_cross_modal_layers: int,
    ) -> None:
        torch.manual_seed(0)
        self.model = small_model(
            WIDTH, image_size, {"itm": 2}, LAYERS, text_length, num_managed_layers,
            num_cross_modal_layers,
        ).train()  # fmt: skip
        self.tokens = torch.randint(5, VOCABULARY, (1, text_length))
        shape = (1, 1, 3, image_size, image_size)
        self.image = torch.randint(0, 256, shape, dtype=torch.uint8)

    def __call__(self) -> None:
        model = self.model
        fused = model.fuse(model.encode_text(self.tokens), model.encode_images(self.image))
        model.heads["itm"](model.network.pool(fused)).sum().backward()
        model.zero_grad(set_to_none=True)

    def kept(self) -> int:
        """Bytes that the forward pass keeps for the backward pass, each storage once."""
        parameters = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            self()
        return sum(sizes.values())


def line(name: str, axis: Axis, curve: Curve) -> Result:
    """The axis as a line of the benchmark, its table in the notes."""
    growth_of_time = [last / first for first, last in zip(curve.seconds[0], curve.seconds[-1],
                                                          strict=True)]  # fmt: skip
    operations = curve.operations[-1] / curve.operations[0]
    medians = [statistics.median(own) for own in curve.seconds]
    columns: dict[str, Sequence[float]] = {
        "ms": [1000 * own for own in medians],
        "GFLOP": [count / 1e9 for count in curve.operations],
        "MiB kept": [size / 2**20 for size in curve.bytes_kept],
    }
    rows = [f"{axis.label:<24}" + "".join(f"{number(value):>9}" for value in axis.values)]
    rows += [
        f"{label:<24}" + "".join(f"{number(value):>9}" for value in values)
        + f"   exponent {exponent(axis.values, values):.2f}"
        for label, values in columns.items()
    ]  # fmt: skip
    exponents = {label: exponent(axis.values, values) for label, values in columns.items()}
    return Result(
        f"growth.{name}", f"times from {axis.values[0]} to {axis.values[-1]}", TIME, OPERATIONS,
        TARGET, {TIME: growth_of_time, OPERATIONS: [operations] * len(growth_of_time)},
        "lower", "ratio", [*rows, axis.comment],
        {"values": list(axis.values), **{k: list(v) for k, v in columns.items()},
         "exponents": exponents, "comment": axis.comment},
    )  # fmt: skip


def exponent(values: Sequence[float], found: Sequence[float]) -> float:
    """Slope of the line through the logarithms, by least squares."""
    x, y = [math.log(v) for v in values], [math.log(v) for v in found]
    return statistics.linear_regression(x, y).slope


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Time and memory over each axis, relative to the smallest value, logarithmic."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from mt_fairseq.analysis.figures import PANEL, STYLE, line_style

    with rc_context(STYLE):
        figure = Figure((2 * PANEL[0], 2 * PANEL[1]), layout="constrained")
        grid: Any = figure.subplots(2, 2)
        for panel, (name, axis) in zip(grid.flat, AXES.items(), strict=True):
            curve = curves[name]
            found: dict[str, Sequence[float]] = {
                "time": [statistics.median(own) for own in curve.seconds],
                "memory kept": curve.bytes_kept,
                "operations": curve.operations,
            }
            for place, (label, values) in enumerate(found.items()):
                slope = exponent(axis.values, values)
                panel.plot(
                    axis.values, [value / values[0] for value in values],
                    label=f"{label}, exponent {slope:.2f}", **line_style(place),
                )  # fmt: skip
            panel.set_xscale("log", base=2)
            panel.set_yscale("log", base=2)
            panel.set_xticks(axis.values, [str(value) for value in axis.values])
            panel.set_xlabel(axis.label)
            panel.set_ylabel(f"times that of {axis.values[0]}")
            panel.legend()
        figure.savefig(path)
