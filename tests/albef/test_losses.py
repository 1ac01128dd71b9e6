"""Each loss against a plain implementation of its formula, written here."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq import metrics
from torch import Tensor

from mt_fairseq.criterions.albef import AlbefPretrainCriterion
from mt_fairseq.criterions.distillation import (
    answer_losses,
    distilled_cross_entropy,
    distilled_itc_loss,
    soft_cross_entropy,
)
from mt_fairseq.data.batches import masked_words
from mt_fairseq.models.albef.steps import draw_pairs, match_drawn
from mt_fairseq.modules.albef.outputs import DistilledContrast
from tests.albef.small import PRETRAINING, batch, build

ALPHAS = [0.0, 0.4, 1.0]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_contrast_with_several_positives(alpha: float) -> None:
    positives = torch.tensor([[1, 0, 1, 0, 1], [0, 1, 0, 0, 0], [1, 0, 1, 0, 1]], dtype=torch.bool)
    logits = [random(3, 5, seed=seed) for seed in range(4)]
    expected = 0.0
    for own, teacher in ((logits[0], logits[2]), (logits[1], logits[3])):
        for row in range(3):
            p, q = softmax(own[row].tolist()), softmax(teacher[row].tolist())
            count = int(positives[row].sum())
            for column in range(5):
                hard = float(positives[row, column]) / count
                target = alpha * q[column] + (1 - alpha) * hard
                expected -= target * math.log(p[column]) / 2
    ours = distilled_itc_loss(
        DistilledContrast(logits[0], logits[1], positives, logits[2], logits[3]), alpha
    )
    assert float(ours) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_words(alpha: float) -> None:
    logits, teacher, labels = random(4, 6), random(4, 6, seed=1), torch.tensor([2, -1, 0, 5])
    expected = []
    for row, label in enumerate(labels.tolist()):
        p, q = softmax(logits[row].tolist()), softmax(teacher[row].tolist())
        hard = -math.log(p[label])
        soft = -sum(b * math.log(a) for a, b in zip(p, q, strict=True))
        expected.append(0.0 if label < 0 else (1 - alpha) * hard + alpha * soft)
    ours = distilled_cross_entropy(logits, labels, teacher, alpha)
    assert ours.tolist() == pytest.approx(expected, rel=1e-6)


def test_soft_cross_entropy_is_the_talks_divergence() -> None:
    """KL(q, p) = H(q, p) - H(q): equal gradients, and a difference that no weight changes."""
    teacher = random(3, 6, seed=1)
    q = teacher.softmax(dim=-1)
    for seed in (2, 3):
        logits = random(3, 6, seed=seed).requires_grad_()
        kl = torch.nn.functional.kl_div(logits.log_softmax(dim=-1), q, reduction="sum")
        cross = soft_cross_entropy(logits, teacher).sum()
        entropy = -(q * q.log()).sum()
        assert float(cross.detach() - kl.detach()) == pytest.approx(float(entropy), rel=1e-5)
        (ours,) = torch.autograd.grad(cross, logits, retain_graph=True)
        (theirs,) = torch.autograd.grad(kl, logits)
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_answers(alpha: float) -> None:
    """Sums over the tokens of an answer, </s> included, padding not."""
    tokens = torch.tensor([[2, 7, 3, 0], [2, 5, 6, 3]])
    logits, teacher = random(2, 4, 9), random(2, 4, 9, seed=1)
    expected = []
    for row, length in enumerate((3, 4)):
        loss = 0.0
        for place in range(length - 1):
            p = softmax(logits[row, place].tolist())
            q = softmax(teacher[row, place].tolist())
            hard = -math.log(p[int(tokens[row, place + 1])])
            soft = -sum(b * math.log(a) for a, b in zip(p, q, strict=True))
            loss += (1 - alpha) * hard + alpha * soft
        expected.append(loss)
    assert answer_losses(logits, tokens, 0, teacher, alpha).tolist() == pytest.approx(expected)


# --- what is drawn ---


def chi_squared(counts: Tensor, weights: Tensor) -> float:
    expected = weights / weights.sum() * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 1, 0, 2, 3]])
@torch.no_grad()
def test_hard_negatives_follow_the_contrast(groups: list[int]) -> None:
    """Images drawn for a text, and texts for an image, as the softmax of similarities has it.

    Texts of the same picture are no negatives of it.
    """
    torch.manual_seed(0)
    model = build({"itc": 0, "itm": 2}, twin=True).eval()
    inputs = batch(5, seed=1)
    tokens, images = inputs["src_tokens"], inputs["images"]
    output = model(tokens, images, step="alignment", draws=inputs["draws"])
    text, image = model.encode_text(tokens), model.encode_images(images)
    # features that say who they are: fusion is left out, its inputs are what counts
    text.last = image.last = torch.eye(5)[:, None].expand(5, 1, 5)
    model.network.fuse = lambda texts, drawn, first_only: (texts, drawn)
    model.network.pool = lambda both: torch.stack([side.last[:, 0] for side in both])
    model.heads["itm"] = torch.nn.Identity()
    numbers = torch.tensor(groups)
    positives = numbers[:, None] == numbers[None]
    counts = {"image of text": torch.zeros(5, 5), "text of image": torch.zeros(5, 5)}
    for number in range(500):
        draws = torch.rand(5, 2, generator=torch.Generator().manual_seed(number))
        texts, drawn = match_drawn(model, text, image, output.itc, positives, draws).logits
        assert torch.equal(texts[:10], torch.eye(5).repeat(2, 1))
        assert torch.equal(drawn[:5], drawn[10:])
        counts["image of text"] += drawn[5:10]
        counts["text of image"] += texts[10:]
    logits = {
        "image of text": output.itc.text_to_image[:, :5],
        "text of image": output.itc.image_to_text[:, :5],
    }
    critical = {2: 13.8, 3: 16.3}  # p = 0.001, by degrees of freedom
    for name, found in counts.items():
        for row in range(5):
            others = (~positives[row]).nonzero()[:, 0]
            assert found[row, positives[row]].sum() == 0
            weights = logits[name][row, others].double().exp()
            bound = critical[len(others) - 1]
            assert chi_squared(found[row, others].double(), weights) < bound, (name, row)


def test_pairs_are_drawn_as_described() -> None:
    """Two thirds hold the true image, in either order; the other pairs are two different ones."""
    rounds = 2000
    logits = torch.tensor([[9.0, 0.0, 1.0, 2.0]] * 4)
    logits.fill_diagonal_(9.0)
    draws = torch.rand(rounds, 4, 4, generator=torch.Generator().manual_seed(0))
    labels, pairs = [], []
    for draw in draws:
        chosen, label, exists = draw_pairs(
            logits, draw.double(), torch.eye(len(logits), dtype=torch.bool)
        )
        assert exists.all()
        labels.append(label[0])
        pairs.append(chosen[0])
    label, pair = torch.stack(labels), torch.stack(pairs)
    assert chi_squared(label.bincount(minlength=3).double(), torch.ones(3).double()) < 13.8
    assert (pair[label == 0, 0] == 0).all() and (pair[label == 1, 1] == 0).all()
    none = pair[label == 2]
    assert (none != 0).all() and (none[:, 0] != none[:, 1]).all()
    weights = torch.tensor([0.0, 1.0, 2.0]).double().exp()
    drawn = torch.cat([pair[label == 0, 1], pair[label == 1, 0], none[:, 0]])
    assert chi_squared((drawn - 1).bincount(minlength=3).double(), weights) < 13.8


@pytest.mark.parametrize("count", [1, 3])
def test_no_negative_and_no_masked_word(count: int) -> None:
    """One sample, or several of one picture: nothing is NaN, and what lacks counts nothing."""
    torch.manual_seed(0)
    model = build(PRETRAINING, twin=True, constant_alpha=True)
    inputs = batch(count, seed=0)
    nothing = torch.zeros_like(inputs["src_tokens"], dtype=torch.bool)
    inputs["masked_words"] = masked_words(inputs["src_tokens"], nothing)
    groups = torch.zeros(count, dtype=torch.long)
    output = model(**inputs, image_groups=groups, step="alignment")
    assert output.itm.weights.tolist() == pytest.approx([1 / 3] * count + [0.0] * 2 * count)
    assert output.mlm_logits.shape == (0, 50)
    task: Any = SimpleNamespace()
    criterion = AlbefPretrainCriterion(task, random_negatives=False, distilled="itc,mlm")
    sample = {
        "net_input": {**inputs, "image_groups": groups},
        "ntokens": 1, "nsentences": count,
    }  # fmt: skip
    loss, _, log = criterion(model, sample)
    assert torch.isfinite(loss) and log["mlm_loss"] == 0 == log["mlm_loss_count"]
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert not any(p.grad is not None and p.grad.any() for p in model.heads["mlm"].parameters())
    with metrics.aggregate() as logged:
        criterion.reduce_metrics([log])
    values = logged.get_smoothed_values()
    assert "mlm_loss" not in values and math.isfinite(values["loss"])
