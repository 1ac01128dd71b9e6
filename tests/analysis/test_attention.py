"""Divergence of attention heads: against loops over heads and queries."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch

from mt_fairseq.analysis.__main__ import main
from mt_fairseq.analysis.attention import average_diversity, draw_diversity, head_divergences
from mt_fairseq.analysis.passes import run_pairs
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.models.stand_in import VARIANTS, batch, build_small


def attention_written_out(attention: torch.nn.Module, x: torch.Tensor, memory: torch.Tensor):
    """(T, H, S): softmax of scaled scores of one sample."""
    heads = attention.heads
    query, key = attention.query(x), attention.key(memory)
    size = query.shape[-1] // heads
    rows = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        rows.append((query[:, part] @ key[:, part].T / math.sqrt(size)).softmax(dim=-1))
    return torch.stack(rows, dim=1)


def mean_divergence(probabilities: torch.Tensor) -> float:
    """Mean over queries and ordered pairs of two heads, (T, H, S)."""
    total, count = 0.0, 0
    for query in probabilities.double():
        for i, p in enumerate(query):
            for j, q in enumerate(query):
                if i != j:
                    total += float((p * (p / q).log()).sum())
                    count += 1
    return total / count


@pytest.mark.parametrize("name", ["aaue-fused", "bridge-a", "meter"])
@torch.no_grad()
def test_equal_loops_over_heads_and_queries(name: str) -> None:
    """For METER, BridgeTower and ManagerTower: one sample at a time, cut to its real tokens."""
    model = build_small(**VARIANTS[name]).eval()
    tokens, images = batch()
    found = average_diversity(model, run_pairs(model, tokens, images))
    expected: dict[tuple[str, str, int], list[float]] = {}
    for ids, image in zip(tokens, images, strict=True):
        real = ids[ids != 1][None]
        layers = model(real, image[None], return_all=True).layers
        for number, (layer, module) in enumerate(
            zip(layers, model.network.cross_modal.layers, strict=True), start=1
        ):
            managed = {"text": layer.managed_text[0], "image": layer.managed_image[0]}
            for own, other in (("text", "image"), ("image", "text")):
                block = getattr(module, own)
                x = managed[own]
                of_self = attention_written_out(block.self_attention, x, x)
                x = block.self_norm(x + block.self_attention(x[None], x[None])[0])
                of_cross = attention_written_out(block.cross_attention, x, managed[other])
                for kind, probabilities in (("self", of_self), ("cross", of_cross)):
                    key = own, kind, number
                    expected.setdefault(key, []).append(mean_divergence(probabilities))
    assert len(found) == len(expected) == 4 * 3
    for one in found:
        samples = expected[one.modality, one.kind, one.layer]
        assert one.mean == pytest.approx(sum(samples) / len(samples), rel=1e-3, abs=1e-6)


def test_divergence_of_given_distributions() -> None:
    half, sure = [0.5, 0.5, 0.0], [0.9, 0.1, 0.0]
    probabilities = torch.tensor([[[half], [sure]]])  # (1, 2 heads, 1 query, 3 keys)
    divergences = head_divergences(probabilities, torch.ones(1, 1))[0]
    forward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    backward = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    expected = torch.tensor([[0.0, forward], [backward, 0.0]])
    assert torch.allclose(divergences, expected, atol=1e-6)


def equal_heads() -> TwoTowerModel:
    """All heads of a layer alike."""
    model = build_small().eval()
    for layer in model.network.cross_modal.layers:
        for block in (layer.text, layer.image):
            for attention in (block.self_attention, block.cross_attention):
                for linear in (attention.query, attention.key):
                    half = linear.weight.shape[0] // 2
                    linear.weight.data[half:] = linear.weight.data[:half]
                    linear.bias.data[half:] = linear.bias.data[:half]
    return model


def test_equal_heads_diverge_by_nothing() -> None:
    model, other = equal_heads(), build_small().eval()
    models = {
        "alike": average_diversity(model, run_pairs(model, *batch())),
        "not alike": average_diversity(other, run_pairs(other, *batch())),
    }
    assert [d.mean for d in models["alike"]] == pytest.approx([0.0] * 12, abs=1e-6)
    figure = draw_diversity(models, "caption")
    for axes in figure.axes:
        flat, steep = (line.get_ydata() for line in axes.lines)
        assert flat == pytest.approx([0.0] * 3, abs=1e-6)
        assert min(steep) > 1e-4
        assert axes.get_ylabel() == "KL between heads (nats)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["alike", "not alike"]


def test_command_on_trained_models(
    vqa_checkpoint: Path, caption_checkpoint: Path, vqa_bin: Path, tmp_path: Path
) -> None:
    models = [str(vqa_checkpoint), str(caption_checkpoint), str(vqa_bin)]
    rest = ["--label", "AAUE", "--label", "SAE", "--num-workers", "0", "--out", str(tmp_path)]
    assert main(["attention", *models, *rest]) == 0
    with open(tmp_path / "attention.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 4 * 3 * (4 + 1)  # models, kinds, layers, heads and their mean
    for row in rows:
        if row["head"] == "mean":
            same = {k: v for k, v in row.items() if k not in ("head", "kl_nats")}
            heads = [float(r["kl_nats"]) for r in rows if r["head"] != "mean" and same.items()
                     <= r.items()]  # fmt: skip
            assert float(row["kl_nats"]) == pytest.approx(sum(heads) / 4, abs=1e-6)
    drawn = (tmp_path / "attention.svg").read_text()
    for words in ("textual cross-attention", "visual self-attention", "cross-modal layer", "nats",
                  "AAUE, SAE; split valid of", "7 samples"):  # fmt: skip
        assert words in drawn, words
    assert (tmp_path / "attention.png").stat().st_size > 1000


def test_models_that_have_nothing_to_compare() -> None:
    with pytest.raises(UserError, match="--fusion merged-attention"):
        average_diversity(build_small(**VARIANTS["merged-meter"]), [])
    with pytest.raises(UserError, match="one attention head"):
        average_diversity(build_small(cross_modal_heads=1), [])
