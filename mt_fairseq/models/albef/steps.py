"""ALBEF's steps of training: what runs once, in which order, and what the momentum model sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mt_fairseq.data.batches import MaskedWords
from mt_fairseq.kernels import autocast_to
from mt_fairseq.models.albef.contract import AlbefParts
from mt_fairseq.models.step import Step, by_name
from mt_fairseq.modules.albef.outputs import (
    AlignmentOutput,
    AnswerOutput,
    DistilledContrast,
    DistilledOutput,
)
from mt_fairseq.modules.contrastive import draw_negatives, negative_weights, same, similarities
from mt_fairseq.modules.gather import JoinedBatch
from mt_fairseq.modules.heads import ContrastiveHead
from mt_fairseq.modules.matching import draw_hard_negatives
from mt_fairseq.modules.outputs import ImageStates, Matching, TextStates

PAIR_TEMPERATURE = 0.07  # a literal in the reference, whatever the model has learnt
TRUE_PAIR_SHARE = 2 / 3


@contextmanager
def teaching(model: AlbefParts) -> Iterator[None]:
    """Run the momentum model: no gradients, its float32 weights cast to the model's type."""
    with torch.no_grad(), autocast_to(model.network.words):
        yield


# --- pre-training and retrieval ---


@Step
def alignment(
    model: AlbefParts,
    src_tokens: Tensor,
    images: Tensor,
    *,
    draws: Tensor,
    image_groups: Tensor | None = None,
    masked_tokens: Tensor | None = None,
    masked_words: MaskedWords | None = None,
    random_negatives: bool = False,
    teach_mlm: bool = True,
    is_dummy: bool = False,
) -> AlignmentOutput:
    """Contrast, match and, with masked texts, predict words; by the heads that the model has.

    Args:
        model: the model; in training its momentum twin moves and its queue is filled.
        src_tokens: (B, T) texts.
        images: (B, 1, 3, H, W).
        draws: (B, 2) uniform in [0, 1): decide the negative image of text i, and the negative
            text of image i.
        image_groups: (B,) numbers of the images: equal ones are positives. Without them a text
            belongs to its own image alone (pre-training).
        masked_tokens: (B, T) the masked texts.
        masked_words: the words to predict, and where.
        random_negatives: draw the negatives of matching without regard to similarity.
        teach_mlm: also ask the momentum model for the masked words.
        is_dummy: the batch stands in for data that this process lacks.
    """
    contrasted = "itc" in model.heads  # waits for other processes before the device has work
    joined = JoinedBatch.agree(src_tokens, enters=not is_dummy) if contrasted else None
    text, image = model.encode_text(src_tokens), model.encode_images(images)
    output = AlignmentOutput(model.alpha)
    model.follow()
    own_image = None
    if model.twin is not None:
        with teaching(model):
            own_image = model.twin.network.encode_images(images)
    if joined is not None:
        output.itc = _contrast(model, text, image, src_tokens, own_image, image_groups, joined)
    if "itm" in model.heads:
        contrast = None if random_negatives else output.itc
        positives = _own_positives(src_tokens, image_groups)
        output.itm = match_drawn(model, text, image, contrast, positives, draws)
    if masked_tokens is not None and "mlm" in model.heads:
        assert masked_words is not None
        output.mlm_logits = _predict(model, masked_tokens, image, masked_words)
        if teach_mlm and model.alpha and own_image is not None:
            with teaching(model):
                output.mlm_teacher_logits = _predict(
                    model.twin, masked_tokens, own_image, masked_words
                )
    return output


def _own_positives(tokens: Tensor, image_groups: Tensor | None) -> Tensor:
    """(B, B) boolean: texts and images of this batch that belong together."""
    if image_groups is None:
        return torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
    return same(image_groups, image_groups)


def _contrast(
    model: AlbefParts,
    text: TextStates,
    image: ImageStates,
    tokens: Tensor,
    teacher_image: ImageStates | None,
    image_groups: Tensor | None,
    joined: JoinedBatch,
) -> DistilledContrast:
    """Similarities with the momentum model's features of the batch and of the queue.

    The batch's features enter the queue after they have been compared.
    """
    assert model.twin is not None and model.queue is not None and teacher_image is not None
    head, queue = model.heads["itc"], model.queue
    assert isinstance(head, ContrastiveHead)
    texts, images = model.contrastive_features(text, image)
    temperature = head.clamped_temperature()
    with teaching(model):
        teacher_text = model.twin.network.encode_text(tokens)
        own_texts, own_images = model.twin.heads["itc"](teacher_text.last, teacher_image.last)
        own_texts, own_images = own_texts.float(), own_images.float()
    text_keys = torch.cat([own_texts, queue.texts])
    image_keys = torch.cat([own_images, queue.images])
    positives = _own_positives(tokens, image_groups)
    if image_groups is None:
        others = positives.new_zeros(len(tokens), len(queue))
    else:
        others = same(image_groups, queue.ids)
    fixed = temperature.detach()
    contrast = DistilledContrast(
        text_to_image=similarities(texts, image_keys, temperature),
        image_to_text=similarities(images, text_keys, temperature),
        positives=torch.cat([positives, others], dim=1),
        teacher_text_to_image=similarities(own_texts, image_keys, fixed),
        teacher_image_to_text=similarities(own_images, text_keys, fixed),
    )
    if model.training:
        with torch.no_grad():
            ids = None if image_groups is None else joined.gather(image_groups)
            queue.enqueue(joined.gather(own_images), joined.gather(own_texts), ids)
    return contrast


def match_drawn(
    model: AlbefParts,
    text: TextStates,
    image: ImageStates,
    contrast: DistilledContrast | None,
    positives: Tensor,
    draws: Tensor,
) -> Matching:
    """True pairs, and two negatives a sample, drawn from this process's own batch."""
    count = len(positives)
    of_text = of_image = torch.zeros_like(positives, dtype=torch.float32)
    if contrast is not None:
        of_text = contrast.text_to_image[:, :count]
        of_image = contrast.image_to_text[:, :count]
    negatives = draw_hard_negatives(of_text, of_image, positives, draws)
    own = torch.arange(count, device=draws.device)
    fused = model.network.fuse(
        text.select(torch.cat([own, own, negatives.text])),
        image.select(torch.cat([own, negatives.image, own])),
        first_only=True,
    )
    return negatives.matching(model.heads["itm"](model.network.pool(fused)))


def _predict(side: Any, tokens: Tensor, image: ImageStates, masked: MaskedWords) -> Tensor:
    """Logits (n, V) at masked positions, of a model or of its momentum twin."""
    text = side.network.encode_text(tokens)
    states = side.network.fuse(text, image).text
    return side.heads["mlm"](states[masked["rows"], masked["positions"]], side.network.words)


# --- the task before NLVR2 ---


@Step
def pairs(
    model: AlbefParts,
    src_tokens: Tensor,
    images: Tensor,
    *,
    draws: Tensor,
    image_groups: Tensor | None = None,
) -> Matching:
    """Which of two images a text describes: the first (0), the second (1) or none (2).

    Negative images are drawn by their similarity to the true one (the pre-trained projection,
    without gradient): with probability 2/3 one of them stands beside the true image, in random
    order; else two different ones stand there.

    Args:
        model: a model with heads ``itc`` and ``pairs``.
        src_tokens: (B, T) texts.
        images: (B, 1, 3, H, W).
        draws: (B, 4) uniform in [0, 1): kind of pair, order, first and second negative.
        image_groups: (B,) numbers of the images, of which equal ones are no negatives of each
            other; without them all images differ.
    """
    text, image = model.encode_text(src_tokens), model.encode_images(images)
    with torch.no_grad():
        _, features = model.contrastive_features(text, image)
        logits = similarities(features, features, features.new_full((), PAIR_TEMPERATURE))
        same_image = _own_positives(src_tokens, image_groups)
        chosen, labels, exists = draw_pairs(logits, draws, same_image)
    both = [image.select(chosen[:, 0]), image.select(chosen[:, 1])]
    fused = model.network.fuse_sets(text, both, first_only=True)
    return Matching(model.heads["pairs"](model.network.pool(fused)), labels, exists.float())


def draw_pairs(logits: Tensor, draws: Tensor, same_image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Image similarities (B, B), draws (B, 4) -> pairs (B, 2), labels (B,), and which exist.

    ``same_image`` (B, B) is True where two are one image, on the diagonal at least.
    """
    own = torch.arange(len(logits), device=logits.device)
    first, found_first = draw_negatives(negative_weights(logits, same_image), draws[:, 2])
    taken = same_image | same_image[first]
    second, found_second = draw_negatives(negative_weights(logits, taken), draws[:, 3])
    with_own, own_first = draws[:, 0] < TRUE_PAIR_SHARE, draws[:, 1] < 0.5
    true_pair = torch.stack(
        [torch.where(own_first, own, first), torch.where(own_first, first, own)], dim=1
    )
    chosen = torch.where(with_own[:, None], true_pair, torch.stack([first, second], dim=1))
    labels = torch.where(with_own, (~own_first).long(), 2)
    return chosen, labels, found_first & (with_own | found_second)


# --- answers and classes ---


@Step
def answers(
    model: AlbefParts,
    src_tokens: Tensor,
    images: Tensor,
    *,
    answer_tokens: Tensor,
    answer_rows: Tensor,
) -> AnswerOutput:
    """Logits of given answers.

    Args:
        model: a model with the head ``answers``.
        src_tokens: (B, T) questions.
        images: (B, 1, 3, H, W).
        answer_tokens: (A, L) <s> answer </s>, padded.
        answer_rows: (A,) the question of each answer.
    """
    given = (src_tokens, images, answer_tokens, answer_rows)
    output = AnswerOutput(_decode(model, *given))
    if model.training and model.twin is not None and "answers" in model.twin.heads:
        model.follow()
        output.alpha = model.alpha
        with teaching(model):
            output.teacher_logits = _decode(model.twin, *given)
    return output


def _decode(side: Any, tokens: Tensor, images: Tensor, given: Tensor, rows: Tensor) -> Tensor:
    text = side.network.encode_text(tokens)
    states = side.network.fuse(text, side.network.encode_images(images)).text
    return side.heads["answers"](given, states[rows], text.mask[rows])


def distilled_logits(
    model: AlbefParts, head: str, tokens: Tensor, images: Tensor, output: DistilledOutput
) -> None:
    """Add what the momentum model says, if it has the head."""
    if model.twin is None or head not in model.twin.heads:
        return
    model.follow()
    output.alpha = model.alpha
    with teaching(model):
        pooled = model.fuse_images(model.twin.network, tokens, images).pooled
        output.teacher_logits = model.twin.heads[head](pooled)


STEPS = by_name(alignment, pairs, answers)
