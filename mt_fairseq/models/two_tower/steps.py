"""Training steps beyond plain classification: all that a loss needs in one forward pass.

What waits for other processes comes before the encoders: a wait behind them would leave the device
idle until it has all work that follows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mt_fairseq.data.batches import MaskedWords
from mt_fairseq.models.step import Step, by_name
from mt_fairseq.models.two_tower.contract import TwoTowerParts
from mt_fairseq.modules.contrastive import same
from mt_fairseq.modules.gather import JoinedBatch
from mt_fairseq.modules.heads import ContrastiveHead
from mt_fairseq.modules.matching import MATCH, contrast_all, match_given, match_hard
from mt_fairseq.modules.outputs import (
    Contrast,
    ImageStates,
    PretrainingOutput,
    RankingOutput,
    RetrievalOutput,
    TextStates,
)


@Step
def pretraining(
    model: TwoTowerParts,
    src_tokens: Tensor,
    images: Tensor,
    *,
    masked_tokens: Tensor,
    masked_words: MaskedWords,
    image_index: Tensor | None = None,
    draws: Tensor | None = None,
    itc: bool = False,
    global_negatives: bool = False,
    is_dummy: bool = False,
) -> PretrainingOutput:
    """MLM and ITM, on demand ITC; each image runs through the vision encoder once.

    What no loss reads is not computed: the vocabulary at other than masked positions, and of the
    last cross-modal layer the image's half for MLM and all positions but 0 for ITM.

    Args:
        model: with heads mlm and itm, and itc where it is asked for.
        src_tokens: (B, T).
        images: (M, K, 3, H, W), M >= B; image i < B belongs to text i.
        masked_tokens: (B, T) the masked texts.
        masked_words: the words to predict, and where.
        image_index: (B,) the image that ITM pairs with each text; None for hard negatives.
        draws: (B, 2) uniform in [0, 1), for hard negatives.
        itc: also contrast every text with all images; each pair is a class of its own.
        global_negatives: draw hard negatives from the batches of all processes.
        is_dummy: the batch stands in for data that this process lacks.
    """
    joined = JoinedBatch.agree(src_tokens, enters=not is_dummy) if itc else None
    image = model.encode_images(images)
    own = image.first(len(src_tokens))
    both = model.encode_text(torch.cat([masked_tokens, src_tokens]))  # one run, fuller matrices
    masked, text = both.first(len(src_tokens)), both.rest(len(src_tokens))
    states = model.network.fuse(masked, own, need_image=False).text
    mlm_logits = model.heads["mlm"](states[masked_words["rows"], masked_words["positions"]])
    contrast = None
    if joined is not None:
        own_numbers = joined.own_numbers(len(src_tokens), src_tokens.device)
        positives = same(own_numbers, joined.numbers(src_tokens.device))
        contrast = _contrast(model, text, own, positives, joined)
    if image_index is not None:
        itm = match_given(model.network, model.heads["itm"], text, image, image_index)
    else:
        assert joined is not None and contrast is not None and draws is not None
        itm = match_hard(
            model.network, model.heads["itm"], text, own, contrast, draws, joined, global_negatives
        )
    return PretrainingOutput(mlm_logits, itm, contrast)


@Step
def retrieval(
    model: TwoTowerParts,
    src_tokens: Tensor,
    images: Tensor,
    *,
    image_groups: Tensor,
    draws: Tensor,
    global_negatives: bool = False,
    is_dummy: bool = False,
) -> RetrievalOutput:
    """ITC and ITM with hard negatives; each tower runs once.

    Args:
        model: with heads itc and itm.
        src_tokens: (B, T).
        images: (B, 1, 3, H, W).
        image_groups: (B,) the same number for texts of the same image.
        draws: (B, 2) uniform in [0, 1): the image that a text draws, the text that an image draws.
        global_negatives: draw hard negatives from the batches of all processes.
        is_dummy: the batch stands in for data that this process lacks.
    """
    joined = JoinedBatch.agree(src_tokens, enters=not is_dummy)
    text, image = model.encode_text(src_tokens), model.encode_images(images)
    positives = same(image_groups, joined.gather(image_groups))
    contrast = _contrast(model, text, image, positives, joined)
    itm = match_hard(
        model.network, model.heads["itm"], text, image, contrast, draws, joined, global_negatives
    )
    return RetrievalOutput(contrast, itm)


@Step
def ranking(model: TwoTowerParts, src_tokens: Tensor, images: Tensor) -> RankingOutput:
    """Match logits of each image with its own text and several others (METER's fine-tuning).

    Args:
        model: with head itm.
        src_tokens: (B * n, T), n texts for each image, its own one first.
        images: (B, 1, 3, H, W).
    """
    count = len(images)
    rows = torch.arange(count, device=images.device)
    text = model.encode_text(src_tokens)
    image = model.encode_images(images).select(rows.repeat_interleave(len(src_tokens) // count))
    return RankingOutput(model.match_logits(text, image)[:, MATCH].view(count, -1))


def _contrast(
    model: TwoTowerParts,
    text: TextStates,
    image: ImageStates,
    positives: Tensor,
    joined: JoinedBatch,
) -> Contrast:
    """Compare B texts and images with those of all processes; ``positives`` (B, M)."""
    head = model.heads["itc"]
    assert isinstance(head, ContrastiveHead)
    texts, images = model.contrastive_features(text, image)
    return contrast_all(texts, images, head.clamped_temperature(), positives, joined)


STEPS = by_name(pretraining, retrieval, ranking)
