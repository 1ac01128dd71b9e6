"""What the parts of ALBEF's training steps cost."""

from __future__ import annotations

import torch

from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.outputs import ImageStates, TextStates
from mt_fairseq.plan.counting import Cost, PartCosts, count

VOCABULARY = 30_522  # of bert-base-uncased, where no data-bin says it
ANSWER_TOKENS = 5  # with <s> and </s>


def count_albef_parts(model: AlbefModel, tokens: int) -> PartCosts:
    """As ``count_parts``; a pair has two pictures where the model has a head for that."""
    network = model.network
    pictures = max((kind.images for kind in model.heads.kinds.values()), default=1)
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
    taught = [model.heads[name] for name, kind in model.heads.kinds.items() if kind.momentum]
    weights = sum(p.numel() for module in [model.network, *taught] for p in module.parameters())
    queue = 2 * int(model.cfg.queue_size) * int(model.cfg.embed_dim)
    return 4 * (weights + queue)
