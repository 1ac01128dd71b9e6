"""Classes as hypotheses of fairseq-generate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mt_fairseq.data.dictionary import LabelDictionary
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.generator import LabelGenerator
from mt_fairseq.modules.outputs import TwoTowerOutput

LABELS = ["", "yes", "no", "new york"]
LOGITS = torch.tensor([[0.0, 2.0, -1.0, 1.0], [3.0, -2.0, 0.5, 0.0]])


class FixedLogits(nn.Module):
    """A model whose head gives these logits, times its weight."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, src_tokens, images, classification_head_name=None):
        assert classification_head_name == "vqa"
        none = torch.zeros(len(src_tokens), 1, 1)
        return TwoTowerOutput(none, none, none[:, 0], logits=self.logits)


def generate(*models, nbest=2, scores="sigmoid", pad=1):
    labels = LabelDictionary(LABELS, pad)
    generator = LabelGenerator(labels, "vqa", nbest, scores)
    sample = {
        "id": torch.arange(2),
        "net_input": {"src_tokens": torch.zeros(2, 3).long(), "images": torch.zeros(2, 1)},
    }
    return generator, labels, generator.generate(list(models), sample)


@pytest.mark.parametrize("pad", [0, 1])
def test_best_labels_come_first(pad):
    generator, labels, hypotheses = generate(FixedLogits(LOGITS), pad=pad)
    names = [[labels.string(h["tokens"]) for h in best] for best in hypotheses]
    assert names == [["yes", "new york"], ["", "no"]]
    first = hypotheses[0][0]
    assert first["tokens"].shape == (1,) and first["tokens"].dtype == torch.int64
    assert first["positional_scores"].tolist() == pytest.approx([first["score"]])
    assert first["score"] == pytest.approx(math.log(torch.tensor(2.0).sigmoid().item()))
    assert generator.symbols_to_strip_from_output.isdisjoint(
        labels.class_to_id(c) for c in range(len(LABELS))
    )


def test_softmax_scores_sum_to_one():
    _, _, hypotheses = generate(FixedLogits(LOGITS), nbest=4, scores="softmax")
    for best in hypotheses:
        assert sum(math.exp(h["score"]) for h in best) == pytest.approx(1)


def test_nbest_beyond_the_classes_gives_all_of_them():
    _, _, hypotheses = generate(FixedLogits(LOGITS), nbest=99)
    assert [len(best) for best in hypotheses] == [4, 4]


def test_ensembles_average_probabilities():
    other = torch.tensor([[0.0, -3.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    _, _, hypotheses = generate(FixedLogits(LOGITS), FixedLogits(other), nbest=4)
    expected = (LOGITS.sigmoid() + other.sigmoid()) / 2
    for row, best in zip(expected, hypotheses, strict=True):
        ours = [math.exp(h["score"]) for h in best]
        assert ours == pytest.approx(sorted(row.tolist(), reverse=True))


def test_large_logits_keep_their_order():
    close = torch.tensor([[30.0, 31.0, 29.0, 32.0], [0.0, 0.0, 0.0, 0.0]])
    _, labels, hypotheses = generate(FixedLogits(close), nbest=4)
    names = [labels.string(h["tokens"]) for h in hypotheses[0]]
    assert names == ["new york", "yes", "", "no"]


def test_numbers_that_are_none_and_unknown_scores_are_refused():
    with pytest.raises(UserError, match="not finite"):
        generate(FixedLogits(LOGITS / 0))
    with pytest.raises(UserError, match="sigmoid, softmax"):
        generate(FixedLogits(LOGITS), scores="linear")
