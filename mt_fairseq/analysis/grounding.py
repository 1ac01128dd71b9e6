"""One picture and text: where an ALBEF looks, and which of given boxes it would choose."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch.nn import functional as F

from mt_fairseq.analysis.figures import (
    Output,
    add_caption,
    drawing,
    join_captions,
    new_figure,
)
from mt_fairseq.analysis.subjects import CHECKPOINT_HELP, add_output_arguments, model_name
from mt_fairseq.analysis.tokens import readable_tokens
from mt_fairseq.command_line import existing_path, positive_int
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.boxes import best_box, box_scores
from mt_fairseq.models.grounding import MODES, heat_maps, map_layer
from mt_fairseq.models.hub import HubInterface
from mt_fairseq.models.hub_images import GivenImage, ImageInput, take_image
from mt_fairseq.modules.albef.gradcam import word_maps
from mt_fairseq.predict import move

NAME = "grounding"
COLOURS = "inferno"
PANEL = 1.7  # inches that a picture is wide
COLUMNS = 5
NOTE = "Brighter: more of the decision rests there; each map has a scale of its own"


@dataclass(frozen=True)
class Grounding:
    """Heat maps of one pair.

    Attributes:
        picture: (H, W, 3) uint8, as it is.
        whole: (rows, columns) of patches, of the whole text.
        words: tokens and the map of each; none for mode ``itc``.
        layer: whose attention they come from, from 1.
    """

    picture: np.ndarray[Any, Any]
    whole: np.ndarray[Any, Any]
    words: list[tuple[str, np.ndarray[Any, Any]]]
    layer: int


def ground(
    hub: HubInterface,
    image: ImageInput | GivenImage,
    text: str,
    mode: str = MODES[0],
    layer: int | None = None,
) -> Grounding:
    """Run one image and one text; arguments as for ``models.grounding.map_layer``.

    Raises UserError for an unreadable image, an empty text, or a model that has no such map.
    """
    given = take_image(image, "the image")
    model: Any = hub.model
    layer = map_layer(model, mode, layer)
    tokens = hub.encode(text)
    pixels = hub.load_image(given)[None, None].to(hub.device)
    inputs = tokens[None].to(hub.device), pixels
    whole = heat_maps(model, *inputs, mode, layer)[0]
    words = []
    if mode == "itm":
        maps = word_maps(model.network, model.heads["itm"], *inputs, layer - 1)[0]
        words = list(zip(readable_tokens(hub, tokens), map(_array, maps), strict=True))
    return Grounding(np.asarray(given.rgb()), _array(whole), words, layer)


def _array(heat: torch.Tensor) -> np.ndarray[Any, Any]:
    return heat.detach().float().cpu().numpy()


def parse_box(text: str) -> list[float]:
    """``"12,30,24,24"`` -> [12, 30, 24, 24]; UserError for anything else."""
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or numbers[2] <= 0 or numbers[3] <= 0:
        raise UserError(f"--box {text}: write X,Y,WIDTH,HEIGHT in pixels of the picture")
    return numbers


def choose(found: Grounding, boxes: Sequence[Sequence[float]]) -> int | None:
    """Number of the box with the most heat for its size; None without boxes.

    Raises UserError for a box outside the picture.
    """
    if not boxes:
        return None
    height, width = found.picture.shape[:2]
    return best_box(box_scores(torch.from_numpy(found.whole), boxes, width, height))


def draw_grounding(
    found: Grounding, boxes: Sequence[Sequence[float]], text: str, caption: str
) -> Figure:
    """The picture with its boxes, the map of the text over it, and one map a word."""
    panels = 2 + len(found.words)
    columns = min(panels, COLUMNS)
    height, width = found.picture.shape[:2]
    with drawing():
        size = (PANEL, PANEL * height / width + 0.2)
        figure, axes = new_figure(-(-panels // columns), columns, size)
        spots = list(axes.flat)
        for spare in spots[panels:]:
            spare.set_visible(False)
        chosen = choose(found, boxes)
        _show(spots[0], found.picture, None, "picture")
        _show(spots[1], found.picture, found.whole, text)
        for spot in spots[:2]:
            for number, box in enumerate(boxes):
                spot.add_patch(_outline(box, number == chosen))
        for spot, (word, heat) in zip(spots[2:], found.words, strict=False):
            _show(spot, found.picture, heat, word)
        add_caption(figure, caption)
    return figure


def _show(
    axes: Axes, picture: np.ndarray[Any, Any], heat: np.ndarray[Any, Any] | None, title: str
) -> None:
    axes.imshow(picture)
    if heat is not None:
        height, width = picture.shape[:2]
        large = F.interpolate(
            torch.from_numpy(heat)[None, None], (height, width), mode="bicubic", align_corners=False
        )[0, 0].clamp(min=0)
        axes.imshow(large.numpy(), cmap=COLOURS, vmin=0, alpha=0.65)
    axes.set_title(title, fontsize=7, pad=2, wrap=True)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)


def _outline(box: Sequence[float], chosen: bool) -> Rectangle:
    """The chosen box is drawn through and thick, the others dashed."""
    x, y, width, height = box
    style: dict[str, Any] = {"lw": 2.0, "ls": "-"} if chosen else {"lw": 0.8, "ls": (0, (3, 2))}
    # pixels of a picture lie around whole numbers
    return Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor="white", **style)


def table_rows(label: str, found: Grounding) -> list[dict[str, Any]]:
    """Rows of the CSV: one a patch for the text, and for each of its words."""
    maps = [("", "", found.whole), *((i, word, heat) for i, (word, heat) in enumerate(found.words))]
    return [
        {"model": label, "position": position, "token": word, "row": row, "column": column,
         "heat": float(f"{value:.6g}")}
        for position, word, heat in maps
        for (row, column), value in np.ndenumerate(heat)
    ]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("checkpoint", type=existing_path, help=CHECKPOINT_HELP)
    parser.add_argument("--image", required=True, metavar="FILE", help="the picture")
    parser.add_argument("--text", required=True, help="what is looked for")
    parser.add_argument(
        "--box",
        action="append",
        default=[],
        metavar="X,Y,W,H",
        help="a proposed box in pixels of the picture; repeat for more, the best is drawn thick",
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default=MODES[0],
        help="what is explained: the match, by a fusion layer (itm, default), or the similarity, "
        "by the vision encoder (itc)",
    )
    parser.add_argument(
        "--layer",
        type=positive_int,
        help="from 1 (default: itm the middle of the fusion, itc the last)",
    )
    parser.add_argument("--label", metavar="NAME", help="what the model is called")
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write grounding.png, .svg and .csv, and say which box was chosen; exit code 0."""
    output = Output(args.out, [NAME], args.overwrite)
    boxes = [parse_box(text) for text in args.box]
    image = take_image(args.image, "--image")
    hub = HubInterface.from_pretrained(args.checkpoint)
    move(hub, args.device)
    found = ground(hub, image, args.text, args.mode, args.layer)
    label = args.label or model_name(hub.model)
    where = "fusion" if args.mode == "itm" else "vision"
    what = f"Grad-CAM of {args.mode}: {label}, {where} layer {found.layer}"
    caption = join_captions([f'{what}; {Path(args.image).name} with "{args.text}"', NOTE])
    chosen = choose(found, boxes)
    output.save_figure(NAME, draw_grounding(found, boxes, args.text, caption))
    output.save_table(NAME, table_rows(label, found))
    if chosen is not None:
        print(f"box {args.box[chosen]}")
    print(output.describe([NAME]))
    return 0
