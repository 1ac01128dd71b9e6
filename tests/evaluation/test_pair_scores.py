"""Features and match scores of real (small) models, whatever fits into memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mt_fairseq.errors import UserError
from mt_fairseq.evaluation import pair_scores
from mt_fairseq.evaluation.pair_scores import TowerScorer, blocks_that_fit
from mt_fairseq.evaluation.ranking import Side, rerank, shortlist
from mt_fairseq.evaluation.state_store import fused, nbytes
from tests.albef import small as small_albef
from tests.models.stand_in import VARIANTS, VOCABULARY, StandInTask, build_small

IMAGES, TEXTS = 5, 9
HEADS = {"itm": 2, "itc": 8}


def inputs() -> tuple[list[Tensor], Tensor]:
    """Texts by length, and images."""
    generator = torch.Generator().manual_seed(5)
    lengths = torch.randint(3, 9, (TEXTS,), generator=generator).sort().values.tolist()
    words = [torch.randint(4, VOCABULARY, (n - 2,), generator=generator) for n in lengths]
    texts = [torch.cat([torch.tensor([0]), w, torch.tensor([2])]) for w in words]
    images = torch.randint(0, 256, (IMAGES, 3, 16, 24), generator=generator, dtype=torch.uint8)
    return texts, images


@torch.no_grad()
def plainly(model, texts: list[Tensor], images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features, and match logits (texts, images): one text with one image at a time."""
    pairs = [(text[None], image[None, None]) for text in texts for image in images]
    logits = [
        model(text, image, classification_head_name="itm").logits[0, 1] for text, image in pairs
    ]
    features = [
        model.contrastive_features(model.encode_text(text[None]), model.encode_images(images[:1]))[
            0
        ]
        for text in texts
    ]
    both = model.contrastive_features(
        model.encode_text(texts[0][None]), model.encode_images(images)
    )
    return torch.cat(features), both[1], torch.stack(logits).view(TEXTS, IMAGES)


def all_pairs(scorer: TowerScorer) -> Tensor:
    """Match logits (texts, images), block by block."""
    logits = torch.full((TEXTS, IMAGES), torch.nan)
    for (t0, t1), (i0, i1) in scorer.blocks():
        pairs = torch.cartesian_prod(torch.arange(i0, i1), torch.arange(t0, t1))
        logits[pairs[:, 1], pairs[:, 0]] = scorer.scores(pairs[:, 1], pairs[:, 0], lambda n: None)
    return logits


@pytest.mark.parametrize("name", VARIANTS)
def test_scores_are_those_of_the_model(name, monkeypatch):
    """Padding, batches, what is computed once for an image, and the last layer cut short."""
    model = build_small(StandInTask(heads=HEADS), **VARIANTS[name]).eval()
    texts, images = inputs()
    monkeypatch.setattr(pair_scores, "TEXT_GROUP", 4)
    scorer = TowerScorer(model, texts, list(images), cache_bytes=10**9, batch_size=4)
    features = scorer.features(lambda n: None)
    expected = plainly(model, texts, images)
    for ours, theirs in zip((*features, all_pairs(scorer)), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6)


def test_albef_keeps_its_last_layers(monkeypatch):
    """A model whose fusion reads the encoders' last layers, and the image in keys alone."""
    torch.manual_seed(0)
    model = small_albef.build({"itc": 0, "itm": 2}).eval()
    generator = torch.Generator().manual_seed(5)
    lengths = [3, 3, 4, 5, 5, 6, 7, 7, 7]
    texts = [torch.randint(5, small_albef.WORDS, (n,), generator=generator) for n in lengths]
    images = torch.randint(0, 256, (IMAGES, 3, 32, 32), generator=generator, dtype=torch.uint8)
    monkeypatch.setattr(pair_scores, "TEXT_GROUP", 4)
    scorer = TowerScorer(model, texts, list(images), cache_bytes=10**9, batch_size=4)
    features = scorer.features(lambda n: None)
    expected = plainly(model, texts, images)
    for ours, theirs in zip((*features, all_pairs(scorer)), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6)


def text_bytes(model, texts: list[Tensor]) -> list[int]:
    with torch.no_grad():
        return [nbytes(fused(model.encode_text(text[None]))) for text in texts]


class Counting:
    """Counts what runs through an encoder."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.seen = 0
        module.register_forward_hook(self.count)

    def count(self, module, args, output) -> None:
        self.seen += len(args[0])


@pytest.mark.parametrize(
    ("room", "blocks", "text_runs", "image_runs"),
    [
        ("everything", 1, 1, 1),
        ("all texts", 1, 1, 2),
        ("half of the texts", 2, 2, 3),
        ("nothing", TEXTS, 2, 1 + TEXTS),
    ],
)
def test_memory_changes_no_score(room, blocks, text_runs, image_runs, monkeypatch):
    model = build_small(StandInTask(heads=HEADS)).eval()
    texts, images = inputs()
    sizes = text_bytes(model, texts)
    limit = {
        "everything": 10**9,
        "all texts": sum(sizes),
        "half of the texts": sum(sizes[:-2]),
        "nothing": 0,
    }[room]
    monkeypatch.setattr(pair_scores, "TEXT_GROUP", 4)
    monkeypatch.setattr(pair_scores, "IMAGE_BLOCK", 2)
    text_count = Counting(model.network.text_encoder)
    image_count = Counting(model.network.vision_encoder)
    scorer = TowerScorer(model, texts, list(images), cache_bytes=limit, batch_size=2)
    scorer.features(lambda n: None)
    logits = all_pairs(scorer)
    assert len(scorer.text_blocks) == blocks
    assert (text_count.seen, image_count.seen) == (text_runs * TEXTS, image_runs * IMAGES)
    torch.testing.assert_close(logits, plainly(model, texts, images)[2], rtol=1e-5, atol=2e-6)


def test_padding_of_a_constant_text_length_stays():
    """A converted model lets its fused query see padding, so padding must be what it was."""
    options = {"text_length": 12, "unmasked_fused_query": True}
    model = build_small(StandInTask(heads=HEADS), **options).eval()
    texts, images = inputs()
    scorer = TowerScorer(model, texts, list(images), cache_bytes=10**9, batch_size=4)
    scorer.features(lambda n: None)
    torch.testing.assert_close(
        all_pairs(scorer), plainly(model, texts, images)[2], rtol=1e-5, atol=2e-6
    )


def test_ranks_of_a_real_model_equal_those_of_all_pairs():
    """Both stages together, a model's own numbers: the exhaustive matrix of the same top 3."""
    model = build_small(StandInTask(heads=HEADS)).eval()
    texts, images = inputs()
    text_features, image_features, logits = plainly(model, texts, images)
    similarity = text_features @ image_features.T
    scorer = TowerScorer(model, texts, list(images), cache_bytes=0, batch_size=4)
    found = scorer.features(lambda n: None)
    owners = torch.arange(TEXTS) % IMAGES
    sides = (
        Side(found[0], torch.arange(TEXTS), owners),
        Side(found[1], torch.arange(IMAGES), torch.arange(IMAGES)),
    )
    lists = [
        shortlist(sides[0], sides[1], 3, torch.arange(TEXTS)),
        shortlist(sides[1], sides[0], 3, torch.arange(IMAGES)),
    ]
    rerank(scorer, *lists, torch.arange(TEXTS))
    for own, sims, scores, right in (
        (lists[0], similarity, logits, owners[:, None] == torch.arange(IMAGES)),
        (lists[1], similarity.T, logits.T, torch.arange(IMAGES)[:, None] == owners),
    ):
        top = torch.zeros_like(sims, dtype=torch.bool).scatter(1, sims.topk(3).indices, True)
        exhaustive = torch.where(top, scores.double() + 1e6, sims.double())
        order = exhaustive.argsort(dim=1, descending=True)
        assert own.best(3)[0].tolist() == order[:, :3].tolist()
        assert own.ranks().tolist() == (right.gather(1, order).int().argmax(1) + 1).tolist()


def test_without_a_contrastive_head_features_say_nothing():
    model = build_small(StandInTask(heads={"itm": 2})).eval()
    texts, images = inputs()
    scorer = TowerScorer(model, texts, list(images), cache_bytes=10**9, batch_size=2)
    features = scorer.features(lambda n: None)
    assert [f.tolist() for f in features] == [[[0.0]] * TEXTS, [[0.0]] * IMAGES]
    assert all_pairs(scorer).isfinite().all()


def test_numbers_that_are_none_are_refused():
    model = build_small(StandInTask(heads=HEADS)).eval()
    texts, images = inputs()
    with torch.no_grad():
        model.heads["itc"].image.weight.fill_(torch.nan)
    scorer = TowerScorer(model, texts, list(images), cache_bytes=0, batch_size=2)
    with pytest.raises(UserError, match="not finite"):
        scorer.features(lambda n: None)


def test_blocks():
    assert blocks_that_fit([2, 2, 2, 5, 1], 4) == [(0, 2), (2, 3), (3, 4), (4, 5)]
    assert blocks_that_fit([1, 1], 2) == [(0, 2)]
