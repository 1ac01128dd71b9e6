"""Weights of one picture and text: the values drawn are the model's own."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh

from mt_fairseq import ManagerTower
from mt_fairseq.analysis.__main__ import main
from mt_fairseq.analysis.tokens import pair_weights, run_pair
from mt_fairseq.analysis.tokens_figure import LINE, draw_image_weights, draw_text_weights
from mt_fairseq.errors import UserError
from tests import support

QUESTION = "what colour is the square ?"


@pytest.fixture(scope="module")
def hub(vqa_checkpoint: Path) -> ManagerTower:
    return ManagerTower.from_pretrained(vqa_checkpoint)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "red.png"
    support.draw_square(path, "red", 0)
    return path


@torch.no_grad()
def test_values_are_those_of_return_all(hub: ManagerTower, picture: Path) -> None:
    found = pair_weights(hub, run_pair(hub, picture, QUESTION))
    tokens, images = hub.encode(QUESTION)[None], hub.load_image(picture)[None]
    layers = hub.model(tokens, images, return_all=True).layers
    assert len(found.words) == tokens.shape[1]
    assert (found.words[0], found.words[-1]) == ("<s>", "</s>")
    for level, layer in enumerate(layers):
        for values, weights in (
            (found.text[level], layer.text_weights), (found.image[level], layer.image_weights)
        ):  # fmt: skip
            if weights.dim() == 2:
                weights = weights.mean(dim=1)[None, :, None].expand(-1, -1, values.shape[1])
            assert np.allclose(values, weights[0].numpy(), atol=1e-6)
            assert np.allclose(values.sum(axis=0), 1, atol=1e-5)


def test_heat_maps_lie_over_the_picture(hub: ManagerTower, picture: Path) -> None:
    found = pair_weights(hub, run_pair(hub, picture, QUESTION))
    figure = draw_image_weights(found, "caption")
    whole, *panels = [axes for axes in figure.axes if axes.images]
    assert (whole.images[0].get_array() == found.picture).all()
    assert len(panels) == 3 * 3
    for number, axes in enumerate(panels):
        level, expert = divmod(number, 3)
        under, over = axes.images
        assert under.get_extent() == over.get_extent()
        values = found.image[level][expert]
        assert np.allclose(over.get_array(), values[1:].reshape(found.grid))
        assert axes.get_xlabel() == f"class token {values[0]:.2f}"
        assert axes.get_title() == f"expert {found.image_experts[expert]}"


def test_every_word_stands_on_its_colour(hub: ManagerTower, picture: Path) -> None:
    found = pair_weights(hub, run_pair(hub, picture, QUESTION))
    figure = draw_text_weights(found, "caption")
    panels = [axes for axes in figure.axes if axes.texts]
    assert len(panels) == 3
    for axes, values in zip(panels, found.text, strict=True):
        (mesh,) = [one for one in axes.collections if isinstance(one, QuadMesh)]
        assert np.allclose(mesh.get_array(), values)
        assert [text.get_text() for text in axes.texts] == found.words * 3


def test_long_texts_are_broken_into_lines(hub: ManagerTower, picture: Path) -> None:
    found = pair_weights(hub, run_pair(hub, picture, QUESTION))
    longer = type(found)(**{
        **vars(found),
        "words": found.words * 8,
        "text": [np.tile(values, 8) for values in found.text],
    })  # fmt: skip
    figure = draw_text_weights(longer, "caption")
    panels = [axes for axes in figure.axes if axes.texts]
    shown = [t.get_text() for axes in panels[: len(panels) // 3] for t in axes.texts]
    assert len(panels) > 3 and sorted(shown) == sorted(longer.words * 3)
    assert max(axes.get_xlim()[1] for axes in panels) <= LINE


def test_command_on_a_trained_model(vqa_checkpoint: Path, picture: Path, tmp_path: Path) -> None:
    assert main([
        "tokens", str(vqa_checkpoint), "--image", str(picture), "--text", QUESTION,
        "--out", str(tmp_path), "--label", "ours",
    ]) == 0  # fmt: skip
    with open(tmp_path / "tokens-image.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 3 * (1 + 4)  # 32 pixels: 2 x 2 patches of 16, and the class token
    assert [(r["row"], r["column"]) for r in rows[:5]] == [
        ("", ""), ("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")
    ]  # fmt: skip
    with open(tmp_path / "tokens-text.csv", newline="") as stream:
        assert next(csv.DictReader(stream))["token"] == "<s>"
    for name in ("tokens-image", "tokens-text"):
        drawn = (tmp_path / f"{name}.svg").read_text()
        assert "ours; one sample, red.png with" in drawn
        assert "aggregation weight (share of 1)" in drawn
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_mistakes(vqa_checkpoint: Path, picture: Path, tmp_path: Path) -> None:
    command = ["tokens", str(vqa_checkpoint), "--out", str(tmp_path), "--image"]
    with pytest.raises(UserError, match=r"none\.png: can't be read"):
        main([*command, str(tmp_path / "none.png"), "--text", "?"])
    with pytest.raises(UserError, match="empty text"):
        main([*command, str(picture), "--text", " "])
