"""What a task stores in every checkpoint (fairseq's ``task_state``): plain containers only."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError

FORMAT = 1

logger = logging.getLogger(__name__)


@dataclass
class TaskState:
    """Tokenizer, labels, resolution and text length of a training run.

    Attributes:
        task: registered name of the task.
        tokenizer: ``TextTokenizer.state()``.
        labels: answer classes in order, None for tasks without.
        image_size: (height, width) in pixels.
        max_text_len: longest text in tokens, <s> and </s> counted.
        text_cleaning: what texts go through before they are tokenized (``data.text_cleaning``).
    """

    task: str
    tokenizer: dict[str, Any]
    labels: list[str] | None
    image_size: tuple[int, int]
    max_text_len: int
    text_cleaning: str | None = None

    @property
    def head_classes(self) -> dict[str, list[str]]:
        """Head -> its classes in the order of its rows; a task's own head bears its name."""
        return {} if self.labels is None else {self.task: self.labels}

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "task": self.task,
            "tokenizer": self.tokenizer,
            "labels": self.labels,
            "image_size": list(self.image_size),
            "max_text_len": self.max_text_len,
            "text_cleaning": self.text_cleaning,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any], source: str) -> TaskState:
        """Raises UserError if ``state`` is not one that this version writes."""
        if not state or state.get("format") != FORMAT:
            raise UserError(
                f"{source}: holds no tokenizer and resolution of format {FORMAT}; "
                "was it written by another task or version?"
            )
        return cls(
            task=state["task"],
            tokenizer=state["tokenizer"],
            labels=state["labels"],
            image_size=(state["image_size"][0], state["image_size"][1]),
            max_text_len=state["max_text_len"],
            text_cleaning=state.get("text_cleaning"),
        )

    def check_tokenizer(self, data_bin: DataBin, source: str) -> None:
        """Raises UserError if the data-bin's token ids mean other words."""
        if TextTokenizer.from_state(self.tokenizer).fingerprint != data_bin.tokenizer.fingerprint:
            raise UserError(
                f"{data_bin.path}: its tokenizer is not the one of {source}; run `python -m "
                "preprocess` again with --tokenizer naming the data-bin that the checkpoint was "
                "trained on"
            )

    def warn_of_other_texts(self, data_bin: DataBin, source: str) -> None:
        """Say where one has cleaned texts and the other has not; captions may turn questions."""
        own, other = self.text_cleaning, data_bin.text_cleaning
        if (own is None) != (other is None):
            logger.warning(
                f"{data_bin.path}: its texts are {_in_words(other)}, those of {source} were "
                f"{_in_words(own)}; `python -m preprocess` has --clean-text"
            )

    def check_labels(self, data_bin: DataBin, source: str, task: str) -> None:
        """Raises UserError if the data-bin's answer classes are others, or in another order."""
        if self.labels is not None and self.labels != data_bin.labels:
            count = "no" if data_bin.labels is None else len(data_bin.labels)
            same = sorted(self.labels) == sorted(data_bin.labels or ())
            raise UserError(
                f"{data_bin.path}: its {count} answer classes are not the {len(self.labels)} of "
                f"{source}{' in their order' if same else ''}; run `python -m preprocess` "
                "again with --answer-list naming the dict.label.txt of its training data (or train "
                "with --finetune-from-model, which matches classes by name)"
            )


def _in_words(cleaning: str | None) -> str:
    return "as they came" if cleaning is None else f"cleaned as {cleaning}"


def read_task_state(path: Path) -> TaskState:
    """The state in a checkpoint file, without reading its weights into memory.

    Raises UserError if the file is no checkpoint of this package.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        state = checkpoint.get("task_state")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a readable checkpoint ({reason})") from error
    return TaskState.from_dict(state or {}, str(path))
