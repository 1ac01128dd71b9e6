"""The losses against their definitions, and how they add up over small batches."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mt_fairseq.criterions.mlm_itm import mlm_loss_by_text
from mt_fairseq.criterions.vqa import vqa_loss, vqa_score
from mt_fairseq.data.batches import masked_words


def test_vqa_loss_is_the_mean_over_elements_times_the_number_of_classes() -> None:
    torch.manual_seed(0)
    logits, scores = torch.randn(3, 17), torch.rand(3, 17)
    reference = 17 * functional.binary_cross_entropy_with_logits(logits, scores)
    assert vqa_loss(logits, scores).item() / 3 == pytest.approx(reference.item(), rel=1e-6)


def test_vqa_score_is_the_score_of_the_best_answer() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    scores = torch.tensor([[1.0, 0.3, 0.0], [0.6, 0.0, 0.0]])
    assert vqa_score(logits, scores).item() == pytest.approx(0.9)


def test_mlm_loss_adds_up_over_small_batches() -> None:
    torch.manual_seed(0)
    tokens, positions = torch.randint(11, (6, 5)), torch.rand(6, 5) < 0.4
    positions[2] = False  # a short text of which nothing is masked
    masked = masked_words(tokens, positions)
    logits = torch.randn(len(masked["words"]), 11)
    whole, by_word = mlm_loss_by_text(logits, masked, 6)
    assert whole[2] == 0
    split = int(positions[:3].sum())
    first, _ = mlm_loss_by_text(logits[:split], masked_words(tokens[:3], positions[:3]), 3)
    second, _ = mlm_loss_by_text(logits[split:], masked_words(tokens[3:], positions[3:]), 3)
    assert torch.allclose(torch.cat([first, second]), whole)
    row = by_word[: int(positions[0].sum())]
    assert whole[0].item() == pytest.approx(row.mean().item() if len(row) else 0.0)


def test_mlm_loss_without_any_masked_word_is_zero() -> None:
    nothing = masked_words(torch.ones(2, 4).long(), torch.zeros(2, 4, dtype=torch.bool))
    by_text, _ = mlm_loss_by_text(torch.zeros(0, 11), nothing, 2)
    assert by_text.tolist() == [0, 0]
