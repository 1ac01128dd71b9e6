"""Contrast of a batch, and image-text matching on given or hard negative pairs.

Source: ManagerTower's appendix A, after ALBEF. Shapes: B samples of this process, M of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.modules.contrastive import draw_negatives, negative_weights, similarities
from mt_fairseq.modules.gather import JoinedBatch
from mt_fairseq.modules.outputs import Contrast, ImageStates, Matching, TextStates
from mt_fairseq.modules.two_tower import TwoTower

MATCH = 1  # class of the image-text matching head


@dataclass(frozen=True)
class HardNegatives:
    """A negative image for each text and a negative text for each image.

    Attributes:
        image, text: (B,) their numbers in the batch.
        has_image, has_text: (B,) boolean; where False the number means nothing.
    """

    image: Tensor
    has_image: Tensor
    text: Tensor
    has_text: Tensor

    def matching(self, logits: Tensor) -> Matching:
        """Logits (3B, 2) of [text, text, negative text] with [image, negative image, image].

        Each pair is a third of its sample's loss; a missing negative's has no weight.
        """
        there = torch.cat([torch.ones_like(self.has_image), self.has_image, self.has_text])
        labels = torch.zeros(len(there), dtype=torch.long, device=logits.device)
        labels[: len(self.has_image)] = MATCH
        return Matching(logits, labels, there.float() / 3)


def draw_hard_negatives(
    text_to_image: Tensor, image_to_text: Tensor, positives: Tensor, draws: Tensor
) -> HardNegatives:
    """Draw the negatives of a batch by their similarity.

    Args:
        text_to_image, image_to_text: (B, M) logits of the candidates.
        positives: (B, M) boolean, the candidates that belong to the sample.
        draws: (B, 2) uniform in [0, 1): for the image of a text, for the text of an image.
    """
    image, has_image = draw_negatives(negative_weights(text_to_image, positives), draws[:, 0])
    text, has_text = draw_negatives(negative_weights(image_to_text, positives), draws[:, 1])
    return HardNegatives(image, has_image, text, has_text)


def contrast_all(
    texts: Tensor, images: Tensor, temperature: Tensor, positives: Tensor, joined: JoinedBatch
) -> Contrast:
    """Compare features (B, E) of texts and images with those of all processes.

    ``positives`` is (B, M).
    """
    return Contrast(
        similarities(texts, joined.gather(images), temperature),
        similarities(images, joined.gather(texts), temperature),
        positives,
    )


def match_given(
    network: TwoTower, head: nn.Module, text: TextStates, image: ImageStates, image_index: Tensor
) -> Matching:
    """Text i with image ``image_index[i]``; a match where that is i."""
    fused = network.fuse(text, image.select(image_index), first_only=True)
    labels = (image_index == torch.arange(len(image_index), device=image_index.device)).long()
    weights = torch.ones(len(labels), device=labels.device)
    return Matching(head(network.pool(fused)), labels, weights)


def match_hard(
    network: TwoTower,
    head: nn.Module,
    text: TextStates,
    image: ImageStates,
    contrast: Contrast,
    draws: Tensor,
    joined: JoinedBatch,
    global_negatives: bool,
) -> Matching:
    """True pairs and two negative ones per sample, of states that were encoded once.

    The negatives are drawn from this process's batch, or with ``global_negatives`` from all.
    """
    columns = slice(None) if global_negatives else joined.own
    negatives = draw_hard_negatives(
        contrast.text_to_image[:, columns],
        contrast.image_to_text[:, columns],
        contrast.positives[:, columns],
        draws,
    )
    if not global_negatives:
        return match_negatives(network, head, text, image, negatives)
    return match_negatives(
        network, head, widened(text, joined.text_length), image, negatives, joined
    )


def match_negatives(
    network: TwoTower,
    head: nn.Module,
    text: TextStates,
    image: ImageStates,
    negatives: HardNegatives,
    joined: JoinedBatch | None = None,
) -> Matching:
    """The pairs of ``match_hard`` for negatives that have been drawn.

    ``joined`` is what the negatives' numbers count in; None for this process's own batch.
    """

    def drawn(own: Tensor, index: Tensor) -> Tensor:
        return (own if joined is None else joined.gather(own))[index]

    fused = network.cross_modal(
        [torch.cat([own, own, drawn(own, negatives.text)]) for own in text.experts],
        [torch.cat([own, drawn(own, negatives.image), own]) for own in image.experts],
        torch.cat([text.mask, text.mask, drawn(text.mask, negatives.text)]),
        first_only=True,
    )
    return negatives.matching(head(network.pool(fused)))


def widened(text: TextStates, length: int) -> TextStates:
    """Texts (B, T) padded to ``length`` positions, so that texts of several processes fit."""
    missing = length - text.mask.shape[1]
    if missing <= 0:
        return text
    experts = [F.pad(states, (0, 0, 0, missing)) for states in text.experts]
    return TextStates(experts, text.last, F.pad(text.mask, (0, missing), value=False))
