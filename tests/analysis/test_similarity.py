"""Similarity of consecutive managers: against the papers' sums written out."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.analysis.__main__ import main
from mt_fairseq.analysis.passes import run_pairs
from mt_fairseq.analysis.similarity import consecutive_similarities, draw_similarities
from mt_fairseq.errors import UserError
from tests.models.stand_in import METER, VARIANTS, batch, build_small


def parts_written_out(model: torch.nn.Module, tokens: Tensor, images: Tensor) -> list[tuple]:
    """(uni-modal, cross-modal) of each textual SAUE or SAE manager, by equations 4 and 5."""
    text = model.encode_text(tokens)
    layers = model(tokens, images, return_all=True).layers
    outputs = [layer.text for layer in layers]
    written = []
    for level, layer in enumerate(layers):
        manager = model.network.cross_modal.text_aggregations[level]
        weights, width = layer.text_weights, text.experts[0].shape[-1]
        uni_modal = sum(
            weights[i] * F.layer_norm(
                expert, (width,), manager.expert_norm_weight[i], manager.expert_norm_bias[i]
            )
            for i, expert in enumerate(text.experts)
        )  # fmt: skip
        cross = torch.zeros_like(uni_modal)
        if level and hasattr(manager, "previous_norms"):  # SAE: all outputs below
            for i, norm in enumerate(manager.previous_norms):
                cross = cross + weights[len(text.experts) + i] * norm(outputs[i])
        elif level:
            cross = manager.previous_weight * manager.previous_norm(outputs[level - 1])
        written.append((uni_modal, cross))
    return written


@pytest.mark.parametrize("name", ["saue", "sae"])
@torch.no_grad()
def test_equal_the_equations_written_out(name: str) -> None:
    model = build_small(**VARIANTS[name]).eval()
    tokens, images = batch()
    found = consecutive_similarities(model, run_pairs(model, tokens, images))
    written = parts_written_out(model, tokens, images)
    for similarity in found:
        if similarity.modality == "image":
            continue
        part = ("uni-modal", "cross-modal").index(similarity.part)
        lower, upper = (written[layer - 1][part] for layer in similarity.layers)
        samples = []
        for row, ids in enumerate(tokens):
            real = int((ids != 1).sum())
            cosines = [
                F.cosine_similarity(lower[row, t], upper[row, t], dim=0) for t in range(real)
            ]
            samples.append(sum(float(c) for c in cosines) / real)
        assert similarity.mean == pytest.approx(sum(samples) / len(samples), abs=1e-5)
    assert {(s.part, s.layers) for s in found} == {
        ("uni-modal", (1, 2)), ("uni-modal", (2, 3)), ("cross-modal", (2, 3))
    }  # fmt: skip
    assert len(found) == 6


def test_equal_managers_have_similarity_one() -> None:
    model = build_small(manager_type="saue").eval()
    encoder = model.network.cross_modal
    for aggregations in (encoder.text_aggregations, encoder.image_aggregations):
        for manager in aggregations[1:]:
            manager.load_state_dict(aggregations[0].state_dict(), strict=False)
    found = consecutive_similarities(model, run_pairs(model, *batch()))
    uni_modal = [s for s in found if s.part == "uni-modal"]
    assert [s.mean for s in uni_modal] == pytest.approx([1.0] * 4, abs=1e-6)
    figure = draw_similarities({"m": found}, "caption")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines["visual, uni-modal"].get_ydata()) == pytest.approx([1.0, 1.0], abs=1e-6)
    assert list(lines["textual, cross-modal"].get_xdata()) == [2]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1-2", "2-3"]


def test_hooks_are_gone_afterwards() -> None:
    model = build_small().eval()
    consecutive_similarities(model, run_pairs(model, *batch()))
    managers = model.network.cross_modal.text_aggregations
    assert not any(manager._forward_hooks for manager in managers)


def test_command_on_a_trained_model(
    caption_checkpoint: Path, caption_bin: Path, tmp_path: Path
) -> None:
    assert main([
        "similarity", str(caption_checkpoint), str(caption_bin), "--out", str(tmp_path),
        "--num-workers", "0",
    ]) == 0  # fmt: skip
    with open(tmp_path / "similarity.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(r["model"], r["samples"]) for r in rows} == {("managertower_tiny SAE", "7")}
    assert len(rows) == 2 * (2 + 1)
    assert all(-1 <= float(r["cosine"]) <= 1 for r in rows)
    drawn = (tmp_path / "similarity.svg").read_text()
    for words in ("cosine similarity (-1 to 1)", "managers of cross-modal layers",
                  "aggregated part", "split valid of", "7 samples"):  # fmt: skip
        assert words in drawn, words
    assert (tmp_path / "similarity.png").stat().st_size > 1000


def test_models_that_have_nothing_to_compare() -> None:
    with pytest.raises(UserError, match="MeterTiny has no managers"):
        consecutive_similarities(build_small(**METER), [])
    with pytest.raises(UserError, match="one cross-modal layer"):
        consecutive_similarities(build_small(num_cross_modal_layers=1), [])
