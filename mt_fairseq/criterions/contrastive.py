"""Losses of contrast and matching, summed over samples, and what is logged of them.

Source: ManagerTower's appendix A.2, after ALBEF.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mt_fairseq.criterions.base import LOSS, SHARE, Average, Metrics, Objective, average_loss
from mt_fairseq.modules.outputs import Contrast, Matching

CONTRAST_METRICS: Metrics = {"itc_loss": LOSS, "batch_image_r1": SHARE, "batch_text_r1": SHARE}
MATCHING_METRICS: Metrics = {"itm_loss": LOSS, "itm_accuracy": SHARE}


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


def itc_objective(contrast: Contrast, loss: Tensor, samples: int) -> Objective:
    """A loss of contrast, and how often the best of the batch of all processes is a positive."""
    figures = {"itc_loss": average_loss(loss, samples)}
    for name, logits in (
        ("batch_image_r1", contrast.text_to_image),
        ("batch_text_r1", contrast.image_to_text),
    ):
        found = contrast.positives.gather(1, logits.detach().argmax(dim=1, keepdim=True)).sum()
        figures[name] = Average(found, samples)
    return Objective(loss, figures=figures)


def itm_objective(matching: Matching, samples: int) -> Objective:
    """The loss of matching, and how often it is right."""
    loss = itm_loss(matching)
    figures = {"itm_loss": average_loss(loss, samples), "itm_accuracy": matching_accuracy(matching)}
    return Objective(loss, figures=figures)


@torch.no_grad()
def matching_accuracy(matching: Matching) -> Average:
    """Weights of the pairs that are told right, among those of all pairs."""
    right = matching.logits.argmax(dim=-1) == matching.labels
    return Average((matching.weights * right).sum(), matching.weights.sum())
