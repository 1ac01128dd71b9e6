"""Average aggregation weights: against loops over single tokens, and as drawn."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mt_fairseq.analysis.__main__ import main
from mt_fairseq.analysis.attention import average_diversity
from mt_fairseq.analysis.figures import line_style
from mt_fairseq.analysis.passes import run_pairs
from mt_fairseq.analysis.weights import average_weights, draw_weights
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset
from mt_fairseq.data.transforms import build_transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import load_checkpoint
from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.albef.small import build as small_albef
from tests.models.stand_in import MANAGERS, VARIANTS, batch, build_small


def found_for(model: TwoTowerModel, parts: int = 1) -> list[Any]:
    """The averages over the stand-in batch, handed over in so many parts."""
    model.eval()
    tokens, images = batch()
    pieces = zip(tokens.chunk(parts), images.chunk(parts), strict=True)
    return average_weights(model, (p for t, i in pieces for p in run_pairs(model, t, i)))


def one_weight(weights: torch.Tensor, row: int, expert: int, token: int) -> float:
    """What one token of one sample gives one expert, straight from ``return_all``."""
    if weights.dim() == 2:
        return float(weights[expert].mean())
    return float(weights[row, expert, token].mean())


@pytest.mark.parametrize("name", [*MANAGERS, "merged-aaue"])
def test_equal_a_loop_over_tokens(name: str) -> None:
    model = build_small(**VARIANTS[name]).eval()
    tokens, images = batch()
    with torch.no_grad():
        layers = model(tokens, images, return_all=True).layers
    for manager in found_for(model, parts=2):
        layer = layers[manager.layer - 1]
        weights = layer.text_weights if manager.modality == "text" else layer.image_weights
        for expert, mean in enumerate(manager.mean):
            samples = []
            for row in range(len(tokens)):
                length = int((tokens[row] != 1).sum())
                if manager.modality == "image":
                    length = layer.image.shape[1]
                tokens_of = [one_weight(weights, row, expert, t) for t in range(length)]
                samples.append(sum(tokens_of) / length)
            assert mean == pytest.approx(sum(samples) / len(samples), abs=1e-6)
        assert sum(manager.mean) == pytest.approx(1, abs=1e-5)
        if weights.dim() == 2:
            assert max(manager.std) < 1e-6


def test_spread_over_tokens() -> None:
    """One sample, so that the plain standard deviation over its tokens is meant."""
    model = build_small().eval()
    tokens, images = batch(size=1)
    with torch.no_grad():
        weights = model(tokens, images, return_all=True).layers[1].text_weights
    found = average_weights(model, run_pairs(model, tokens, images))
    length = int((tokens != 1).sum())
    assert found[1].std == pytest.approx(weights[0, :, :length].double().std(1, correction=0))


def test_names_of_experts() -> None:
    found = found_for(build_small(manager_type="sae", num_managed_text_layers=3))
    names = {(m.modality, m.layer): m.experts for m in found}
    assert names["text", 1] == ["T1", "T2", "T3"]
    assert names["image", 3] == ["V2", "V3", "C1", "C2"]


def lines_of(figure: Any) -> dict[tuple[int, str], np.ndarray]:
    """(panel, name in the legend) -> heights."""
    return {
        (panel, line.get_label()): np.asarray(line.get_ydata())
        for panel, axes in enumerate(figure.axes)
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def static(scores: torch.Tensor | None = None) -> TwoTowerModel:
    """SAUE with N = 3 at three levels; equal scores, or those of each level (3, N)."""
    model = build_small(manager_type="saue", num_managed_layers=3)
    encoder = model.network.cross_modal
    for aggregations in (encoder.text_aggregations, encoder.image_aggregations):
        for level, manager in enumerate(aggregations):
            with torch.no_grad():
                row = torch.full((3,), 1 / 3) if scores is None else scores[level]
                manager.scores.copy_(row[:, None].expand_as(manager.scores))
                manager.temperature.fill_(1.0)
    return model


def test_uniform_weights_are_flat_lines_at_one_nth() -> None:
    figure = draw_weights({"m": found_for(static())}, "caption")
    lines = lines_of(figure)
    assert sorted(lines) == [(panel, str(layer)) for panel in (0, 1) for layer in (1, 2, 3)]
    for heights in lines.values():
        assert heights == pytest.approx([1 / 3] * 3, abs=1e-7)
    for axes in figure.axes:
        dotted = next(line for line in axes.lines if line.get_label().startswith("_"))
        assert dotted.get_ydata()[0] == pytest.approx(1 / 3)


def test_bridges_as_one_hot_weights_are_one_hot_lines() -> None:
    """BridgeTower as SAUE: level l takes expert l and no other."""
    lines = lines_of(draw_weights({"m": found_for(static(100 * torch.eye(3)))}, "caption"))
    for (_, layer), heights in lines.items():
        expected = [0.0] * 3
        expected[int(layer) - 1] = 1.0
        assert heights == pytest.approx(expected, abs=1e-7)


def test_lines_are_told_apart_without_colour() -> None:
    figure = draw_weights({"m": found_for(build_small(num_cross_modal_layers=8))}, "caption")
    lines = [line for line in figure.axes[0].lines if not line.get_label().startswith("_")]
    assert len({line.get_marker() for line in lines}) == 8
    assert len({str(line_style(number)["linestyle"]) for number in range(7)}) == 7
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [str(n) for n in range(1, 9)]
    assert legend.get_title().get_text() == "cross-modal layer"


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def direct_mean(checkpoint: Path, data: Path, split: str, layer: int) -> list[float]:
    """The textual manager's average, sample by sample through the model's own forward pass."""
    loaded = load_checkpoint(checkpoint)
    task, model = loaded.task, loaded.model
    dataset = ImageTextDataset(
        DataBin(data), split, task.text_limit,
        build_transform(task.eval_transform_kind, task.resolution), model.image_positions, 1, False,
    )  # fmt: skip
    means = []
    with torch.no_grad():
        for index in range(len(dataset)):
            inputs = dataset.collater([dataset[index]])["net_input"]
            weights = model(**inputs, return_all=True).layers[layer - 1].text_weights
            means.append(weights[0].mean(dim=1))
    return torch.stack(means).mean(dim=0).tolist()


def test_command_on_a_trained_model(vqa_checkpoint: Path, vqa_bin: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "figures"
    command = ["weights", str(vqa_checkpoint), str(vqa_bin), "--out", str(out)]
    command += ["--batch-size", "4", "--num-workers", "0"]
    assert main(command) == 0
    rows = read(out / "weights.csv")
    assert {(row["model"], row["split"], row["samples"]) for row in rows} == {
        ("managertower_tiny AAUE", "valid", "7")
    }
    third = [float(r["weight"]) for r in rows if r["modality"] == "text" and
             r["cross_modal_layer"] == "3"]  # fmt: skip
    assert third == pytest.approx(direct_mean(vqa_checkpoint, vqa_bin, "valid", 3), abs=1e-6)
    drawn = (out / "weights.svg").read_text()
    for words in ("textual managers", "expert (V: vision encoder layer)", "share of 1",
                  "managertower_tiny AAUE; split valid of", "7 samples"):  # fmt: skip
        assert words in drawn, words
    assert (out / "weights.png").read_bytes()[:4] == b"\x89PNG"

    with pytest.raises(UserError, match=r"holds weights\.csv already"):
        main(command)
    svg = drawn
    main([*command, "--overwrite"])
    assert (out / "weights.svg").read_text() == svg  # equal figures are equal bytes


def test_two_models_side_by_side(
    vqa_checkpoint: Path, caption_checkpoint: Path, caption_bin: Path, tmp_path: Path
) -> None:
    both = [str(vqa_checkpoint), str(caption_checkpoint), str(caption_bin)]
    rest = ["--split", "train", "--samples", "5", "--num-workers", "0", "--out", str(tmp_path)]
    main(["weights", *both, *rest, "--label", "after", "--label", "before"])
    rows = read(tmp_path / "weights.csv")
    assert {row["model"] for row in rows} == {"after", "before"}
    assert {row["samples"] for row in rows} == {"5"}
    assert {row["expert"] for row in rows if row["model"] == "before"} == {
        "T2", "T3", "T4", "V2", "V3", "V4", "C1", "C2"
    }  # fmt: skip
    drawn = (tmp_path / "weights.svg").read_text()
    assert "before: visual managers" in drawn and "C: cross-modal layer" in drawn


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--samples", "0"], "--samples 0"),
        (["--split", "none"], "no split 'none'"),
        (["--label", "a", "--label", "b"], "2 --label for 1 checkpoints"),
        (["--device", "nonsense"], "--device nonsense"),
    ],
)
def test_mistakes(
    vqa_checkpoint: Path, vqa_bin: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    command = ["weights", str(vqa_checkpoint), str(vqa_bin), "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match=words):
        main([*command, *options])


def test_two_models_of_one_name(vqa_checkpoint: Path, vqa_bin: Path, tmp_path: Path) -> None:
    paths = [str(vqa_checkpoint), str(vqa_checkpoint), str(vqa_bin)]
    rest = ["--samples", "1", "--num-workers", "0", "--out", str(tmp_path)]
    with pytest.raises(UserError, match="name each with --label"):
        main(["weights", *paths, *rest])


@pytest.mark.parametrize("name", ["meter", "bridge-a"])
def test_models_without_managers(name: str) -> None:
    with pytest.raises(UserError, match="Tiny has no managers"):
        found_for(build_small(**VARIANTS[name]))


def test_albef_has_neither_managers_nor_two_towers() -> None:
    model = small_albef({"itm": 2})
    with pytest.raises(UserError, match="AlbefBase has no managers"):
        average_weights(model, [])
    with pytest.raises(UserError, match="AlbefBase is no two-tower model"):
        average_diversity(model, [])
