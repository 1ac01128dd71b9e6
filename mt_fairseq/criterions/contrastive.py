"""Losses of contrast and matching, summed over samples, and what is logged of them.

Source: ManagerTower's appendix A.2, after ALBEF.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.logging import LARGER, SMALLER, Metrics, log_average, total
from mt_fairseq.modules.outputs import Contrast, Matching

CONTRAST_METRICS: Metrics = {"itc_loss": SMALLER, "batch_image_r1": LARGER, "batch_text_r1": LARGER}
MATCHING_METRICS: Metrics = {"itm_loss": SMALLER, "itm_accuracy": LARGER}


def itc_loss(contrast: Contrast) -> Tensor:
    """Sum over samples of the cross-entropy, averaged over both directions.

    A sample's target is spread evenly over its positives. With one positive it is the usual hard
    target.
    """
    positives = contrast.positives.float()
    targets = positives / positives.sum(dim=-1, keepdim=True).clamp(min=1)
    both = contrast.text_to_image.log_softmax(dim=-1) + contrast.image_to_text.log_softmax(dim=-1)
    return -(targets * both).sum() / 2


def itm_loss(matching: Matching) -> Tensor:
    """Cross-entropy of each pair times its weight, summed: a sample's pairs have weight 1."""
    by_pair = functional.cross_entropy(matching.logits.float(), matching.labels, reduction="none")
    return (matching.weights * by_pair).sum()


@torch.no_grad()
def contrast_log(contrast: Contrast, loss: Tensor) -> dict[str, Tensor]:
    """Sums over samples: the loss, and how often the best of the batch is a positive."""
    log = {"itc_loss": loss.detach()}
    for name, logits in (
        ("batch_image_r1", contrast.text_to_image),
        ("batch_text_r1", contrast.image_to_text),
    ):
        log[name] = contrast.positives.gather(1, logits.argmax(dim=1, keepdim=True)).sum()
    return log


@torch.no_grad()
def matching_log(matching: Matching, loss: Tensor) -> dict[str, Tensor]:
    """Sums over pairs: the loss, right answers, and the weights of all pairs."""
    right = matching.logits.argmax(dim=-1) == matching.labels
    return {
        "itm_loss": loss.detach(),
        "itm_correct": (matching.weights * right).sum(),
        "itm_pairs": matching.weights.sum(),
    }


def log_contrast(logging_outputs: list[dict[str, Any]], samples: float) -> None:
    """Log the loss and, in percent, recall at 1 within the batch of all processes."""
    log_average("itc_loss", total(logging_outputs, "itc_loss"), samples)
    for name in ("batch_image_r1", "batch_text_r1"):
        log_average(name, 100 * total(logging_outputs, name), samples)


def log_matching(logging_outputs: list[dict[str, Any]], samples: float) -> None:
    """Log the loss, and the accuracy in percent."""
    log_average("itm_loss", total(logging_outputs, "itm_loss"), samples)
    pairs = total(logging_outputs, "itm_pairs")
    log_average("itm_accuracy", 100 * total(logging_outputs, "itm_correct"), pairs)
