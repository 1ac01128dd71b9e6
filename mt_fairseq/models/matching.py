"""Contrast of a batch, and image-text matching on given or hard negative pairs.

Source: ManagerTower's appendix A, after ALBEF. Shapes: B samples of this process, M of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.modules.contrastive import draw_negatives, negative_weights, similarities
from mt_fairseq.modules.gather import JoinedBatch
from mt_fairseq.modules.heads import ContrastiveHead
from mt_fairseq.modules.outputs import Contrast, ImageStates, Matching, TextStates

if TYPE_CHECKING:
    from mt_fairseq.models.two_tower.model import TwoTowerModel

MATCH = 1  # class of the image-text matching head


def contrast_all(
    model: TwoTowerModel,
    text: TextStates,
    image: ImageStates,
    positives: Tensor,
    joined: JoinedBatch,
) -> Contrast:
    """Compare B texts and images with those of all processes; ``positives`` (B, M)."""
    head = model.heads["itc"]
    assert isinstance(head, ContrastiveHead)
    texts, images = model.contrastive_features(text, image)
    temperature = head.clamped_temperature()
    return Contrast(
        similarities(texts, joined.gather(images), temperature),
        similarities(images, joined.gather(texts), temperature),
        positives,
    )


def match_given(
    model: TwoTowerModel, text: TextStates, image: ImageStates, image_index: Tensor
) -> Matching:
    """Text i with image ``image_index[i]``; a match where that is i."""
    logits = model.match_logits(text, image.select(image_index))
    labels = (image_index == torch.arange(len(image_index), device=image_index.device)).long()
    return Matching(logits, labels, torch.ones(len(labels), device=labels.device))


def match_hard(
    model: TwoTowerModel,
    text: TextStates,
    image: ImageStates,
    contrast: Contrast,
    draws: Tensor,
    joined: JoinedBatch,
    global_negatives: bool,
) -> Matching:
    """3B pairs of states that were encoded once: [text, text, negative text] with
    [image, negative image, image], each a third of its sample's loss.

    A sample whose batch holds no negative goes without that pair.
    """
    columns = slice(None) if global_negatives else joined.own
    positives = contrast.positives[:, columns]
    image_weights = negative_weights(contrast.text_to_image[:, columns], positives)
    text_weights = negative_weights(contrast.image_to_text[:, columns], positives)
    negative_image, has_image = draw_negatives(image_weights, draws[:, 0])
    negative_text, has_text = draw_negatives(text_weights, draws[:, 1])
    return match_negatives(
        model,
        widened(text, joined.text_length) if global_negatives else text,
        image,
        (negative_image, has_image),
        (negative_text, has_text),
        joined if global_negatives else None,
    )


def match_negatives(
    model: TwoTowerModel,
    text: TextStates,
    image: ImageStates,
    negative_image: tuple[Tensor, Tensor],
    negative_text: tuple[Tensor, Tensor],
    joined: JoinedBatch | None = None,
) -> Matching:
    """The pairs of ``match_hard`` for negatives that have been drawn.

    Args:
        negative_image: (B,) the image for each text and (B,) whether there is one.
        negative_text: (B,) the text for each image and (B,) whether there is one.
        joined: what the negatives' numbers count in; None for this process's own batch.
    """
    (image_index, has_image), (text_index, has_text) = negative_image, negative_text

    def drawn(own: Tensor, index: Tensor) -> Tensor:
        return (own if joined is None else joined.gather(own))[index]

    fused = model.network.cross_modal(
        [torch.cat([own, own, drawn(own, text_index)]) for own in text.experts],
        [torch.cat([own, drawn(own, image_index), own]) for own in image.experts],
        torch.cat([text.mask, text.mask, drawn(text.mask, text_index)]),
        first_only=True,
    )
    logits = model.heads["itm"](model.network.pool(fused))
    there = torch.cat([torch.ones_like(has_image), has_image, has_text])
    labels = torch.zeros(len(there), dtype=torch.long, device=logits.device)
    labels[: len(has_image)] = MATCH
    return Matching(logits, labels, there.float() / 3)


def widened(text: TextStates, length: int) -> TextStates:
    """Texts (B, T) padded to ``length`` positions, so that texts of several processes fit."""
    missing = length - text.mask.shape[1]
    if missing <= 0:
        return text
    experts = [F.pad(states, (0, 0, 0, missing)) for states in text.experts]
    return TextStates(experts, text.last, F.pad(text.mask, (0, missing), value=False))
