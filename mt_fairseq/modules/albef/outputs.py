"""What ALBEF's steps hand to the objectives, every field named.

Shapes: B samples, Q rows of the queue, V words, A answers of L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mt_fairseq.modules.outputs import Contrast, Matching, TwoTowerOutput


@dataclass
class DistilledContrast(Contrast):
    """M = B + Q: the batch's own keys, then the queue's; all keys from the momentum model."""

    teacher_text_to_image: Tensor  # (B, M) the momentum model's logits, without gradient
    teacher_image_to_text: Tensor


@dataclass
class AlignmentOutput:
    """A step of pre-training or retrieval; a part is None where the model lacks its head."""

    alpha: float  # weight of the momentum model's targets in this step
    itc: DistilledContrast | None = None
    itm: Matching | None = None  # 3B: true pairs; text + drawn image; drawn text + image
    mlm_logits: Tensor | None = None  # (number of masked words, V), in their order
    mlm_teacher_logits: Tensor | None = None  # None without distillation


@dataclass
class DistilledOutput(TwoTowerOutput):
    """A forward pass with a head, and in training what the momentum model says."""

    teacher_logits: Tensor | None = None
    alpha: float = 0.0


@dataclass
class AnswerOutput:
    """Logits of given answers."""

    logits: Tensor  # (A, L, V): place t predicts token t + 1
    teacher_logits: Tensor | None = None
    alpha: float = 0.0
