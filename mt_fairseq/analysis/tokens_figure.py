"""Weights over a picture and on a sentence, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mt_fairseq.analysis.figures import add_caption, drawing, new_figure

COLOURS = "cividis"  # its lightness rises evenly, so it prints in grey
PATCHES = 1.15  # inches that a picture is wide
ROW, LINE = 0.24, 7.0  # inches: height of a row of words, and the widest row


@dataclass(frozen=True)
class TokenWeights:
    """Weights of one pair.

    Attributes:
        picture: (H, W, 3) uint8, as the model sees it.
        words: T tokens as they are written, <s> and </s> among them.
        grid: rows and columns of patches.
        text: for each cross-modal layer (n, T): experts by tokens.
        image: for each cross-modal layer (n, P): experts by positions, class token first.
        text_experts, image_experts: names of the experts.
    """

    picture: np.ndarray[Any, Any]
    words: list[str]
    grid: tuple[int, int]
    text: list[np.ndarray[Any, Any]]
    image: list[np.ndarray[Any, Any]]
    text_experts: list[str]
    image_experts: list[str]


def draw_image_weights(found: TokenWeights, caption: str) -> Figure:
    """The picture, and for each layer (row) and expert (column) the weight of every patch."""
    names, layers = found.image_experts, found.image
    height, width = found.picture.shape[:2]
    with drawing():
        columns = 1 + len(names)
        size = (PATCHES * columns + 0.8, (PATCHES * height / width + 0.25) * len(layers) + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(len(layers), columns)
        picture = figure.add_subplot(grid[:, 0])
        picture.imshow(found.picture)
        picture.set_title("picture", fontsize=7, pad=2)
        _bare(picture)
        norm = _norm(layers)
        for row, weights in enumerate(layers):
            for column, (name, values) in enumerate(zip(names, weights, strict=False)):
                axes = figure.add_subplot(grid[row, 1 + column])
                drawn = _show_patches(axes, found, values, norm)
                axes.set_title(f"expert {name}", fontsize=7, pad=2)
                axes.set_ylabel(
                    "" if column else f"cross-modal layer {row + 1}", fontsize=7, labelpad=2
                )
        bar = figure.colorbar(drawn, ax=figure.axes, shrink=0.8, pad=0.02, aspect=40)
        bar.set_label("aggregation weight (share of 1)")
        add_caption(figure, caption)
    return figure


def _show_patches(
    axes: Axes, found: TokenWeights, values: np.ndarray[Any, Any], norm: Normalize
) -> Any:
    """One expert's weights over a pale grey picture; the class token's stands below."""
    rows, columns = found.grid
    extent = (0, columns, rows, 0)
    pale = 128 + found.picture.mean(axis=2) / 2
    axes.imshow(pale, cmap="gray", vmin=0, vmax=255, extent=extent)
    drawn = axes.imshow(
        values[1:].reshape(rows, columns), cmap=COLOURS, norm=norm, alpha=0.75, extent=extent
    )
    axes.set_xlabel(f"class token {values[0]:.2f}", fontsize=6, labelpad=2)
    _bare(axes)
    return drawn


def draw_text_weights(found: TokenWeights, caption: str) -> Figure:
    """The sentence once for each layer and expert, every token on the colour of its weight.

    Long texts are broken into several lines.
    """
    names, layers = found.text_experts, found.text
    lines = _break_lines(found.words)
    width = max(sum(_word_width(found.words[i]) for i in line) for line in lines)
    with drawing():
        panel = (max(width, 3.5) + 1.2, 0.3 + ROW * len(names))
        figure, panels = new_figure(len(layers) * len(lines), 1, panel)
        spots = iter(panels.flat)
        norm = _norm(layers)
        for number, weights in enumerate(layers, start=1):
            for line in lines:
                axes = next(spots)
                words = [found.words[i] for i in line]
                drawn = _show_words(axes, words, names, weights[: len(names), line], norm)
                axes.set_xlim(0, width)
                if line is lines[0]:
                    axes.set_title(f"cross-modal layer {number}", fontsize=8, loc="left", pad=3)
        bar = figure.colorbar(drawn, ax=panels, shrink=0.9, pad=0.01, aspect=40)
        bar.set_label("aggregation weight (share of 1)")
        add_caption(figure, caption)
    return figure


def _break_lines(words: list[str]) -> list[list[int]]:
    """Indices of the words of each line, no line wider than ``LINE`` inches."""
    lines: list[list[int]] = [[]]
    used = 0.0
    for i, word in enumerate(words):
        width = _word_width(word)
        if lines[-1] and used + width > LINE:
            lines.append([])
            used = 0.0
        lines[-1].append(i)
        used += width
    return lines


def _norm(layers: Sequence[np.ndarray[Any, Any]]) -> Normalize:
    return Normalize(0, max(float(values.max()) for values in layers))


def _word_width(word: str) -> float:
    """Inches that a token takes."""
    return 0.12 + 0.075 * max(3, len(word))


def _show_words(
    axes: Axes, words: list[str], names: list[str], weights: np.ndarray[Any, Any], norm: Normalize
) -> Any:
    """Rows of experts, columns of words; ``weights`` (n, words)."""
    edges = np.cumsum([0.0, *(_word_width(word) for word in words)])
    rows = np.arange(len(names) + 1)
    drawn = axes.pcolormesh(edges, rows, weights, cmap=COLOURS, norm=norm, edgecolors="white")
    middles = (edges[:-1] + edges[1:]) / 2
    for row, values in enumerate(weights):
        for middle, word, value in zip(middles, words, values, strict=True):
            # cividis turns light above the middle
            colour = "black" if norm(float(value)) > 0.5 else "white"
            axes.text(middle, row + 0.5, word, color=colour, ha="center", va="center", fontsize=7)
    axes.set_yticks(rows[:-1] + 0.5, names)
    axes.set_ylabel("expert", fontsize=7)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return drawn


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
