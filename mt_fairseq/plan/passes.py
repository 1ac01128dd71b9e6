"""How often each part of the model runs for one sample of a task: what its training step does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mt_fairseq.errors import UserError
from mt_fairseq.plan.recipe import Recipe

SPECIAL_TOKENS = 2  # <s> and </s> are never masked
CLASSES = {"vqa": 3129, "snli_ve": 3, "nlvr2": 2}  # where no data-bin says it


@dataclass(frozen=True)
class Passes:
    """Runs a sample.

    Attributes:
        texts, images, pairs: through the text encoder, the vision encoder and the fusion.
        most_images: images of a sample in the worst batch, which decides the memory.
        heads: the rows that each head sees.
        gathers: whether every process collects the encoded pictures of all.
        contrasts: whether samples of a batch are compared with each other.
        teacher: what the momentum model runs besides, without a backward pass.
    """

    texts: float
    images: float
    pairs: float
    most_images: float
    heads: dict[str, int] = field(default_factory=dict)
    gathers: bool = False
    contrasts: bool = False
    teacher: Passes | None = None


PassesOf = Callable[[Recipe, int], Passes]
"""Passes of a recipe with texts of so many tokens."""


def passes_of(recipe: Recipe, tokens: int, table: dict[str, PassesOf] | None = None) -> Passes:
    """Those of a recipe with texts of ``tokens``; UserError for a task without an entry.

    ``table`` has the tasks of another family of models.
    """
    table = PASSES if table is None else table
    if recipe.task not in table:
        raise UserError(
            f"{recipe.path}: {recipe.architecture} has no plan for task {recipe.task}; there are "
            f"plans for {', '.join(table)}"
        )
    return table[recipe.task](recipe, tokens)


def masked_words(recipe: Recipe, tokens: int) -> int:
    """Words of a text that MLM predicts, at least one."""
    return max(1, round(recipe.option("task", "mask_prob", 0.15) * (tokens - SPECIAL_TOKENS)))


def _one_picture(recipe: Recipe, tokens: int) -> Passes:
    return Passes(1, 1, 1, 1, heads={recipe.task: 1})


def _two_pictures(recipe: Recipe, tokens: int) -> Passes:
    return Passes(1, 2, 2, 2, heads={recipe.task: 1})


def _pretraining(recipe: Recipe, tokens: int) -> Passes:
    """A masked and a whole text; ITM exchanges the picture of every second text."""
    negatives = str(recipe.option("task", "itm_negatives", "dataset"))
    exchanged = {"dataset": (1.5, 2.0)}.get(negatives, (1.0, 1.0))
    return Passes(
        texts=2,
        images=exchanged[0],
        pairs=1 + (3 if negatives == "hard" else 1),
        most_images=exchanged[1],
        heads={"mlm": masked_words(recipe, tokens), "itm": 3 if negatives == "hard" else 1},
        gathers=bool(recipe.option("task", "global_negatives", False)),
        contrasts=bool(recipe.option("task", "itc", False)),
    )


def _retrieval(recipe: Recipe, tokens: int) -> Passes:
    """A match and a hard negative a side; or METER's ranking among false texts."""
    false_texts = int(recipe.option("task", "false_texts", 0))
    if false_texts:
        texts = 1 + false_texts
        return Passes(texts, 1, texts, 1, heads={"itm": texts})
    gathers = bool(recipe.option("task", "global_negatives", False))
    return Passes(1, 1, 3, 1, heads={"itm": 3}, gathers=gathers, contrasts=True)


PASSES: dict[str, PassesOf] = {
    "vqa": _one_picture,
    "snli_ve": _one_picture,
    "nlvr2": _two_pictures,
    "vlp_mlm_itm": _pretraining,
    "retrieval": _retrieval,
}
