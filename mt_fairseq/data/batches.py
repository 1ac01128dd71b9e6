"""What collaters make and training steps take: one type for each kind of batch.

Shapes: B samples, K images per sample, T text positions, C classes, n masked words, A answers of L
tokens. Whole numbers are int64; drawn or measured ones float64, which no cast to half precision
touches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import NotRequired, ReadOnly


# --- inputs of the model ---


class ImageTextInputs(TypedDict):
    """What every forward pass takes."""

    src_tokens: Tensor  # (B, T) <s> ... </s>, padded on the right
    images: Tensor  # (M, K, 3, H, W) uint8; image i < B belongs to text i


class MaskedWords(TypedDict):
    """Where words are to be predicted, and which; in the order of texts and of their words."""

    rows: Tensor  # (n,) the text of the batch that a word belongs to
    positions: Tensor  # (n,) its position in that text
    words: Tensor  # (n,) the true word


class MaskedInputs(ImageTextInputs):
    """Texts also with words masked."""

    masked_tokens: Tensor  # (B, T)
    masked_words: MaskedWords


class PretrainingInputs(MaskedInputs):
    """For a two-tower model: what ITM pairs with each text is given, or else drawn."""

    image_index: NotRequired[Tensor]  # (B,) rows of ``images``
    draws: NotRequired[Tensor]  # (B, 2) uniform in [0, 1): choose hard negatives


class AlignmentInputs(MaskedInputs):
    """For ALBEF, which always draws hard negatives."""

    draws: Tensor  # (B, 2) uniform in [0, 1)


class DrawnInputs(ImageTextInputs):
    """Texts that may share an image, and random numbers by which other ones are chosen."""

    image_groups: Tensor  # (B,) the same number for texts of the same image
    draws: Tensor  # uniform in [0, 1): (B, 2) for retrieval, (B, 4) for pairs of images


class AnswerInputs(ImageTextInputs):
    """Questions with the different answers of their annotators, where the split has answers."""

    answer_tokens: NotRequired[Tensor]  # (A, L) <s> answer </s>, padded
    answer_rows: NotRequired[Tensor]  # (A,) the question of each


# --- batches ---


class Common(TypedDict):
    """What fairseq counts, and by what a sample is found again."""

    id: Tensor  # (B,) index within the split
    nsentences: int
    ntokens: int  # of the texts
    is_dummy: NotRequired[bool]  # stands in for data that this process lacks


class ImageTextBatch(Common):
    """Texts with their images, and for fairseq-generate a target where the task has one."""

    net_input: ReadOnly[ImageTextInputs]
    target: ReadOnly[Tensor | None]


class PretrainingBatch(Common):
    """For MLM, ITM and contrast of a two-tower model."""

    net_input: ReadOnly[PretrainingInputs]
    target: ReadOnly[None]


class AlignmentBatch(Common):
    """For ALBEF's pre-training."""

    net_input: ReadOnly[AlignmentInputs]
    target: ReadOnly[None]


class DrawnBatch(Common):
    """For retrieval and for pairs of images."""

    net_input: ReadOnly[DrawnInputs]
    target: ReadOnly[None]


class Labels(TypedDict):
    """Which class each sample has."""

    target: ReadOnly[Tensor]  # (B, 1) id of the class in the label dictionary; padding if unknown
    labels: Tensor  # (B,) classes, -1 if unknown
    labelled: int  # how many are known


class Answers(Labels):
    """Classes of questions; the label is that of the majority answer."""

    answer_scores: NotRequired[Tensor]  # (B, C) soft scores in [0, 1]


class ClassificationBatch(Common, Labels):
    """For tasks with one class per sample."""

    net_input: ReadOnly[ImageTextInputs]


class VqaBatch(Common, Answers):
    """For answers as classes."""

    net_input: ReadOnly[ImageTextInputs]


class AnswerBatch(Common, Answers):
    """For answers as texts; ``target`` may be (B, L), the most frequent answer's tokens."""

    net_input: ReadOnly[AnswerInputs]
    answer_weights: NotRequired[Tensor]  # (A,) share of the annotators who gave an answer


class GroundingBatch(Common):
    """Expressions with the boxes that are proposed for them."""

    net_input: ReadOnly[ImageTextInputs]
    target: ReadOnly[Tensor | None]  # (B, 1) the true box's id; None where no box is known
    proposals: list[list[list[float]]]  # n boxes (x, y, width, height) per sample
    image_sizes: list[tuple[int, int]]  # (height, width) of the raw image in pixels


class QueryInputs(TypedDict):
    """What fairseq-generate prints of a query."""

    src_tokens: Tensor  # (B, T) a text, or (B, 1) the number of an image


class QueryBatch(Common):
    """Queries of a retrieval, whose texts and images were encoded before."""

    net_input: QueryInputs
    target: Tensor  # (B, R) ids of the right items, padded


def masked_words(true_words: Tensor, mask: Tensor) -> MaskedWords:
    """The words of (B, T) where ``mask`` (B, T) is True.

    For tensors in host memory: how many there are is read here, so that nothing behind waits for
    the device to learn it.
    """
    rows, positions = mask.nonzero(as_tuple=True)
    return {"rows": rows, "positions": positions, "words": true_words[rows, positions]}
