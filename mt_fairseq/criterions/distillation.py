"""ALBEF's losses against a momentum model: cross-entropy with alpha q + (1 - alpha) y.

The paper writes (1 - alpha) H(p, y) + alpha KL(q, p); this is the same up to the entropy of q,
which has no gradient (the reference code has it so). Shapes: B samples, M keys, V classes or words.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.modules.albef.outputs import DistilledContrast

IGNORED = -1


def soft_targets(positives: Tensor, teacher_logits: Tensor, alpha: float) -> Tensor:
    """Targets (B, M): the positives of a row share 1 - alpha, the teacher's softmax has alpha."""
    hard = positives.float()
    hard = hard / hard.sum(dim=-1, keepdim=True).clamp(min=1)
    return alpha * teacher_logits.softmax(dim=-1) + (1 - alpha) * hard


def distilled_itc_loss(contrast: DistilledContrast, alpha: float) -> Tensor:
    """Sum over samples of the soft cross-entropy, averaged over both directions."""
    loss = torch.zeros((), device=contrast.positives.device)
    for logits, teacher in (
        (contrast.text_to_image, contrast.teacher_text_to_image),
        (contrast.image_to_text, contrast.teacher_image_to_text),
    ):
        targets = soft_targets(contrast.positives, teacher, alpha)
        loss = loss - (targets * logits.log_softmax(dim=-1)).sum() / 2
    return loss


def soft_cross_entropy(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Cross-entropy (...) of logits (..., V) against the teacher's distribution."""
    targets = teacher_logits.float().softmax(dim=-1)
    return -(targets * logits.float().log_softmax(dim=-1)).sum(dim=-1)


def distilled_cross_entropy(
    logits: Tensor, labels: Tensor, teacher_logits: Tensor | None, alpha: float
) -> Tensor:
    """(n,) cross-entropies of logits (n, V); labels of -1 count nothing."""
    hard = F.cross_entropy(logits.float(), labels, reduction="none", ignore_index=IGNORED)
    if teacher_logits is None:
        return hard
    soft = soft_cross_entropy(logits, teacher_logits).masked_fill(labels == IGNORED, 0)
    return (1 - alpha) * hard + alpha * soft


def answer_losses(
    logits: Tensor, tokens: Tensor, pad: int, teacher_logits: Tensor | None, alpha: float
) -> Tensor:
    """(A,) negative log-likelihoods of answers, summed over their tokens.

    Args:
        logits: (A, L, V) of the tokens (A, L); place t predicts token t + 1.
        tokens: <s> answer </s>, padded; padding counts nothing.
        pad: id of the padding.
        teacher_logits: (A, L, V) or None.
        alpha: the teacher's weight.
    """
    targets = tokens[:, 1:].masked_fill(tokens[:, 1:] == pad, IGNORED)
    taught: Any = None if teacher_logits is None else teacher_logits[:, :-1].flatten(0, 1)
    losses = distilled_cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), taught, alpha)
    return losses.view(targets.shape).sum(dim=1)
