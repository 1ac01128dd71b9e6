"""What a fairseq checkpoint carries beside weights: tokenizer, labels, resolution, text length."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from mt_fairseq.data.files import read_text
from mt_fairseq.data.metadata import LABEL_FILE
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError

if TYPE_CHECKING:
    from mt_fairseq.tasks.labels import LabelTask

TASKS = {
    "pretraining": "vlp_mlm_itm",
    "vqa": "vqa",
    "snli_ve": "snli_ve",
    "nlvr2": "nlvr2",
    "retrieval": "retrieval",
}
"""Names at the command line -> registered names of tasks."""

TASK_HEADS = {
    "pretraining": ("mlm", "itm"),
    "vqa": ("vqa",),
    "snli_ve": ("snli_ve",),
    "nlvr2": ("nlvr2",),
    "retrieval": ("itm", "itc"),
}
"""Heads that each task reads; one of them is enough for a checkpoint to be of that task."""


def own_task(name: str) -> type[LabelTask] | None:
    """The task with classes of this registered name, which is also that of its head."""
    importlib.import_module("mt_fairseq.plugin")  # here, so that --help is quick
    from fairseq.tasks import TASK_REGISTRY

    from mt_fairseq.tasks.labels import LabelTask

    task = TASK_REGISTRY.get(name)
    return task if task is not None and issubclass(task, LabelTask) else None


def head_kind(name: str) -> str:
    """The kind of a head, by the task that it is named after; "" for that of its own name."""
    task = own_task(name)
    return task.head_kind if task else ""


def labels_of_reference(name: str) -> list[str] | None:
    """Classes of a task in the reference's order; None where they depend on the annotations."""
    task = own_task(name)
    return task.labels_of_reference if task else None


def guess_task(heads: list[str]) -> str:
    """The task that heads tell: a fine-tuned one first, retrieval if there is no MLM."""
    for task in ("vqa", "snli_ve", "nlvr2"):
        if task in heads:
            return task
    return "retrieval" if "itc" in heads and "mlm" not in heads else "pretraining"


def check_task(task: str, heads: list[str]) -> None:
    """UserError if none of the heads is one that the task reads."""
    if heads and not set(TASK_HEADS[task]) & set(heads):
        raise UserError(
            f"--task {task}: the checkpoint has no head for it, it has {', '.join(heads)}"
        )


def read_tokenizer(name: str, vocabulary: int, pad: int) -> TextTokenizer:
    """The tokenizer of a data-bin, an exported folder, a transformers folder or a hub name.

    Raises:
        UserError: it cannot be had, or its ids are not those of a model with ``vocabulary`` words.
    """
    from mt_fairseq.data.tokenizer_build import from_transformers, is_data_bin_tokenizer

    own = is_data_bin_tokenizer(Path(name)) or (Path(name) / "model.safetensors").is_file()
    own = own and (Path(name) / "special_tokens_map.json").is_file()
    tokenizer = TextTokenizer.load(name) if own else from_transformers(name)
    if (len(tokenizer.symbols), tokenizer.pad) != (vocabulary, pad):
        raise UserError(
            f"--tokenizer {name}: has {len(tokenizer.symbols)} entries and pads with id "
            f"{tokenizer.pad}, the model {vocabulary} and {pad}: name the tokenizer that it was "
            "trained with"
        )
    return tokenizer


def labels_of(name: str | None, task: str, classes: int) -> list[str] | None:
    """Classes in order; None for tasks without.

    Args:
        name: a file with one label a line, or a data-bin that holds one.
        task: as at the command line.
        classes: how many the model's head has.

    Raises:
        UserError: no such file, other labels than the model's, or none given for VQA.
    """
    if task in ("pretraining", "retrieval"):
        return None
    official = labels_of_reference(task)
    if name is None:
        if official is None:
            raise UserError(
                f"--labels is needed for --task {task}: a file with its {classes} answers, one a "
                f"line in class order, or a data-bin with {LABEL_FILE}"
            )
        return list(official)
    labels = _label_file(Path(name) / LABEL_FILE if Path(name).is_dir() else Path(name))
    if len(labels) != classes:
        raise UserError(f"--labels {name}: {len(labels)} labels for a head of {classes} classes")
    return labels


def _label_file(path: Path) -> list[str]:
    try:
        return read_text(path).removesuffix("\n").split("\n")
    except UserError as error:
        raise UserError(f"--labels {error}") from error


def class_order(task: str, labels: list[str] | None) -> list[int] | None:
    """Which row of an official head each label is; None where the rows stay as they are.

    Raises:
        UserError: labels that the reference does not have.
    """
    reference = labels_of_reference(task)
    if labels is None or reference is None:
        return None
    known = [label.lower() for label in reference]
    wanted = [label.strip().lower() for label in labels]
    if sorted(wanted) != sorted(known):
        raise UserError(
            f"--labels: {', '.join(labels)} are not the classes of {task}, {', '.join(reference)}"
        )
    return [known.index(label) for label in wanted]
