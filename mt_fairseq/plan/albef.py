"""ALBEF's training steps: what they run, and what their parts cost."""

from __future__ import annotations

import torch

from mt_fairseq.models.albef.heads import NO_TEACHER, PAIR_HEADS
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.outputs import ImageStates, TextStates
from mt_fairseq.plan.counting import Cost, PartCosts, count
from mt_fairseq.plan.passes import Passes, PassesOf, masked_words
from mt_fairseq.plan.recipe import Recipe

VOCABULARY = 30_522  # of bert-base-uncased, where no data-bin says it
ANSWERS = 3  # different ones a question of VQA v2, about
ANSWER_TOKENS = 5  # with <s> and </s>


def _pretraining(recipe: Recipe, tokens: int) -> Passes:
    """A whole text against its picture and two negatives; a masked one; the teacher likewise."""
    objectives = str(recipe.option("task", "objectives", "itc,mlm,itm")).split(",")
    contrasts, matches, masks = (name in objectives for name in ("itc", "itm", "mlm"))
    distils = _distils(recipe)
    taught = str(recipe.option("criterion", "distilled", "itc,mlm")).split(",")
    taught_words = masks and distils and "mlm" in taught
    words = masked_words(recipe, tokens)
    teacher = Passes(
        texts=contrasts + taught_words,
        images=1,
        pairs=int(taught_words),
        most_images=1,
        heads={"mlm": words} if taught_words else {},
    )
    return Passes(
        texts=1 + masks,
        images=1,
        pairs=3 * matches + masks,
        most_images=1,
        heads=({"mlm": words} if masks else {}) | ({"itm": 3} if matches else {}),
        contrasts=contrasts or matches,
        teacher=teacher if contrasts or distils else None,
    )


def _retrieval(recipe: Recipe, tokens: int) -> Passes:
    """The true pair and two negatives; the teacher's features."""
    teacher = Passes(texts=1, images=1, pairs=0, most_images=1)
    return Passes(1, 1, 3, 1, heads={"itm": 3}, contrasts=True, teacher=teacher)


def _pairs(recipe: Recipe, tokens: int) -> Passes:
    """Encoded pictures of the batch are taken two by two."""
    return Passes(1, 1, 1, 1, heads={"pairs": 1}, contrasts=True)


def _classes(recipe: Recipe, tokens: int) -> Passes:
    passes = Passes(1, 1, 1, 1, heads={recipe.task: 1})
    return passes if recipe.task in NO_TEACHER else _taught(recipe, passes)


def _two_pictures(recipe: Recipe, tokens: int) -> Passes:
    return _taught(recipe, Passes(1, 2, 1, 2, heads={"nlvr2": 1}))


def _answers(recipe: Recipe, tokens: int) -> Passes:
    return _taught(recipe, Passes(1, 1, 1, 1, heads={"answers": ANSWERS}))


def _taught(recipe: Recipe, passes: Passes) -> Passes:
    """The same with a teacher that runs the same, where the recipe distils."""
    if not _distils(recipe):
        return passes
    return Passes(
        passes.texts, passes.images, passes.pairs, passes.most_images, passes.heads, teacher=passes
    )


def _distils(recipe: Recipe) -> bool:
    return float(recipe.option("model", "distill_alpha", 0.4)) > 0


ALBEF_PASSES: dict[str, PassesOf] = {
    "albef_pretrain": _pretraining,
    "retrieval": _retrieval,
    "albef_pairs": _pairs,
    "snli_ve": _classes,
    "vqa": _classes,
    "nlvr2": _two_pictures,
    "albef_vqa": _answers,
}


def count_albef_parts(model: AlbefModel, tokens: int) -> PartCosts:
    """As ``count_parts``; a pair has two pictures where the model has a head for that."""
    network = model.network
    pictures = 2 if any(name in model.heads for name in PAIR_HEADS) else 1
    whole = "answers" in model.heads
    texts = torch.ones(1, tokens, dtype=torch.long, device="meta")
    pixels = torch.zeros(1, 3, *network.vision_encoder.image_size, device="meta")
    with torch.no_grad():
        text, image = model.encode_text(texts), model.encode_images(pixels)
    text = TextStates([], text.last.detach().requires_grad_(), text.mask)
    images = [ImageStates([], image.last.detach().requires_grad_()) for _ in range(pictures)]
    return PartCosts(
        text=count(lambda: model.encode_text(texts), model),
        image=count(lambda: model.encode_images(pixels), model),
        pair=count(lambda: network.fuse_sets(text, images, first_only=not whole), model),
    )


def count_albef_head(model: AlbefModel, name: str, rows: int, tokens: int, loss: int) -> Cost:
    """A head with its loss, which keeps ``loss`` bytes a logit.

    Args:
        rows: what the head sees of a sample: pooled pairs, masked words, or answers.
        tokens: of a question.
    """
    head, network = model.heads[name], model.network
    words = network.words
    states = torch.zeros(1, tokens, network.width, device="meta", dtype=words.dtype)
    states.requires_grad_()
    if name == "answers":
        given = torch.ones(1, ANSWER_TOKENS, dtype=torch.long, device="meta")
        inputs: tuple[torch.Tensor, ...] = (given, states, torch.ones_like(states[..., 0]).bool())
    elif name == "mlm":
        inputs = (states[:, 0], words)
    else:
        inputs = (states[:, 0],)
    with torch.no_grad():
        logits = head(*inputs).numel()
    return (count(lambda: head(*inputs), model) + Cost(0, loss * logits)) * rows


def momentum_bytes(model: AlbefModel) -> int:
    """The twin's float32 weights, and the queue of features if the recipe contrasts."""
    taught = [module for name, module in model.heads.items() if name not in NO_TEACHER]
    weights = sum(p.numel() for module in [model.network, *taught] for p in module.parameters())
    queue = 2 * int(model.cfg.queue_size) * int(model.cfg.embed_dim)
    return 4 * (weights + queue)
