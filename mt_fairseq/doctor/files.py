"""A checkpoint, a data-bin, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mt_fairseq.doctor.findings import FAIL, OK, WARN, Finding
from mt_fairseq.errors import UserError, find_user_error, last_line

if TYPE_CHECKING:
    from mt_fairseq.data.data_bin import DataBin
    from mt_fairseq.models.checkpoint import LoadedCheckpoint

SIZES_LOOKED_AT = 1000
SPECIAL_TOKENS = 2  # <s> and </s>


def open_checkpoint(path: str) -> tuple[LoadedCheckpoint | None, list[Finding]]:
    """Load a checkpoint, model and all; None and a FAIL if that can't be done."""
    from mt_fairseq.models.checkpoint import load_checkpoint

    try:
        checkpoint = load_checkpoint(path)
    except Exception as error:
        return None, [Finding(FAIL, f"checkpoint {path}: {explain(error)}")]
    task, model = checkpoint.task, checkpoint.model
    size = sum(parameter.numel() for parameter in model.parameters())
    height, width = task.resolution
    labels = f", {len(task.labels)} labels" if task.labels is not None else ""
    text = (
        f"checkpoint {checkpoint.path}: {checkpoint.cfg.model._name}, {size / 1e6:.1f} M "
        f"parameters, task {task.name}, heads {', '.join(model.heads)}, {height}x{width} pixels, "
        f"{task.text_limit} tokens{labels}"
    )
    return checkpoint, [Finding(OK, text)]


def explain(error: BaseException) -> str:
    """The line for the user that is at the root of an error."""
    found = find_user_error(error)
    if found is not None:
        return last_line(found)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def open_data_bin(path: str) -> tuple[DataBin | None, list[Finding]]:
    """Open a data-bin and read a sample of each split; None and a FAIL if that can't be done."""
    from mt_fairseq.data.data_bin import DataBin

    try:
        data = DataBin(path)
        counts = {name: len(data.split(name)) for name in data.splits}
        for name, count in counts.items():
            if count:
                split = data.split(name)
                split.text(count - 1)
                data.images.image(int(split.images(count - 1)[0]))
    except Exception as error:
        return None, [Finding(FAIL, f"data-bin {path}: {explain(error)}")]
    samples = ", ".join(f"{name} {count}" for name, count in counts.items())
    findings = [Finding(OK, f"data-bin {path}: {samples} samples, {len(data.images)} images")]
    empty = [name for name, count in counts.items() if not count]
    if empty:
        findings.append(Finding(WARN, f"data-bin {path}: split {', '.join(empty)} is empty"))
    return data, findings


def fit(checkpoint: LoadedCheckpoint, data: DataBin) -> Iterator[Finding]:
    """Whether the checkpoint can be evaluated and trained further on the data-bin."""
    yield tokenizer_fit(checkpoint, data)
    yield from label_fit(checkpoint, data)
    yield resolution_fit(checkpoint, data)
    yield from length_fit(checkpoint, data)


def tokenizer_fit(checkpoint: LoadedCheckpoint, data: DataBin) -> Finding:
    ours, theirs = checkpoint.task.tokenizer, data.tokenizer
    if ours.fingerprint == theirs.fingerprint:
        return Finding(OK, f"tokenizer: the same, {len(ours.symbols)} tokens")
    return Finding(
        FAIL,
        f"tokenizer: the checkpoint's has {len(ours.symbols)} tokens, the data-bin's "
        f"{len(theirs.symbols)}, and ids differ; run `python -m preprocess` again with --tokenizer "
        "naming the data-bin that the checkpoint was trained on",
    )


def label_fit(checkpoint: LoadedCheckpoint, data: DataBin) -> Iterator[Finding]:
    labels, others = checkpoint.task.labels, data.labels
    if labels is None:
        return
    if others is None:
        yield Finding(FAIL, "labels: the data-bin has none; prepare it for the checkpoint's task")
    elif list(labels) == list(others):
        yield Finding(OK, f"labels: the same, {len(labels)}")
    else:
        unknown = len(set(others) - set(labels))
        yield Finding(
            FAIL,
            f"labels: the checkpoint has {len(labels)}, the data-bin {len(others)}, of which "
            f"{unknown} are others; run `python -m preprocess` again with --answer-list naming the "
            "dict.label.txt of the checkpoint's training data",
        )


def resolution_fit(checkpoint: LoadedCheckpoint, data: DataBin) -> Finding:
    height, width = checkpoint.task.resolution
    count = len(data.images)
    rows = np.unique(np.linspace(0, count - 1, min(count, SIZES_LOOKED_AT)).astype(int))
    shorter = float(np.median([min(data.images.size(int(row))) for row in rows]))
    if shorter < max(height, width):
        return Finding(
            WARN,
            f"resolution: the checkpoint looks at {height}x{width} pixels, the pictures' shorter "
            f"side is {shorter:.0f} (median): they are enlarged; run `python -m preprocess` "
            f"without --resize, or with at least {max(height, width)}, where the originals have "
            "more",
        )
    return Finding(OK, f"resolution: {height}x{width} of pictures of shorter side {shorter:.0f}")


def length_fit(checkpoint: LoadedCheckpoint, data: DataBin) -> Iterator[Finding]:
    limit = checkpoint.task.text_limit
    for name in data.splits:
        lengths = data.split(name).text_lengths
        cut = int((np.asarray(lengths) > limit - SPECIAL_TOKENS).sum())
        if cut > len(lengths) / 100:
            yield Finding(
                WARN,
                f"text length: {cut} of {len(lengths)} texts of {name} are longer than the "
                f"checkpoint's {limit} tokens and are cut; --max-text-len takes more",
            )


def examine(checkpoint_path: str | None, data_path: str | None) -> Iterator[Finding]:
    """All findings about the files that were named."""
    checkpoint, data = None, None
    if checkpoint_path is not None:
        checkpoint, findings = open_checkpoint(checkpoint_path)
        yield from findings
    if data_path is not None:
        data, findings = open_data_bin(data_path)
        yield from findings
    if checkpoint is not None and data is not None:
        try:
            yield from fit(checkpoint, data)
        except UserError as error:
            yield Finding(FAIL, explain(error))
