"""Peak memory of a pre-training step at base size, 288 pixels, batch 8; each in a fresh process.

Weights, gradients and activations; the moments of AdamW (8 bytes a parameter) come on top of every
row. With ``--bf16`` fairseq also keeps float32 weights and gradients. The straightforward form runs
the whole model once an objective over texts padded to 50, with layers as torch has them.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks.measure import in_own_process
from benchmarks.registry import register_benchmark
from benchmarks.result import Result

WAYS = {
    "one step": ("one_step",),
    "with --checkpoint-activations": ("one_step", "checkpointing"),
    "with --update-freq 2, half the batch": ("one_step", "accumulation"),
    "in bf16": ("one_step", "bf16"),
    "in bf16, --checkpoint-activations": ("one_step", "bf16", "checkpointing"),
    "a full pass an objective": ("two_passes",),
    "the same, layers as torch has them": ("two_passes", "plain"),
}
OURS, PEER = "one step", "the same, layers as torch has them"
TARGET = 0.6
MOMENTS = 8 / 2**30  # GiB a parameter


@register_benchmark("memory", "peak memory of a pre-training step by its options", 1, False)
def memory(args: argparse.Namespace) -> Result:
    """GiB, and seconds of the step, which is the process's first."""
    peaks: dict[str, list[float]] = {label: [] for label in WAYS}
    times: dict[str, list[float]] = {label: [] for label in WAYS}
    parameters = 0.0
    for _ in range(args.rounds):
        for label, options in WAYS.items():
            found = in_own_process("benchmarks.processes.pretraining_peak", *options)
            peaks[label].append(found["peak"])
            times[label].append(found["seconds"])
            parameters = found["parameters"]
    medians = {label: statistics.median(values) for label, values in peaks.items()}
    moments = parameters * MOMENTS
    whole = (medians[OURS] + moments) / (medians[PEER] + moments)
    notes = [f"{label:<36} {statistics.median(times[label]):>6.1f} s a step" for label in WAYS]
    notes.append(f"with AdamW's moments, {moments:.1f} GiB more each: {whole:.2f} times")
    return Result("memory", "GiB", OURS, PEER, TARGET, peaks, "lower",
                  notes=notes, details={"seconds": times, "with_moments": whole})  # fmt: skip
