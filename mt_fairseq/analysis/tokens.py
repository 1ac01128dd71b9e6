"""One picture and one text: what every patch and token takes of each expert."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mt_fairseq.analysis.figures import Output, join_captions
from mt_fairseq.analysis.passes import Pass, run_pairs
from mt_fairseq.analysis.subjects import CHECKPOINT_HELP, add_output_arguments, model_name
from mt_fairseq.analysis.tokens_figure import TokenWeights, draw_image_weights, draw_text_weights
from mt_fairseq.analysis.weights import check_managers, expert_names, token_weights
from mt_fairseq.command_line import existing_path
from mt_fairseq.models.hub import HubInterface
from mt_fairseq.models.hub_images import GivenImage, ImageInput, take_image
from mt_fairseq.predict import move

IMAGE_NAME, TEXT_NAME = "tokens-image", "tokens-text"
NOTE = "Mean over channels; static managers weigh all tokens alike"


@dataclass(frozen=True)
class Pair:
    """One picture and text, run through the network.

    Attributes:
        tokens: (T,) ids.
        pixels: (3, H, W) uint8, as the model sees the picture.
    """

    tokens: Tensor
    pixels: Tensor
    result: Pass


def run_pair(
    hub: HubInterface, image: ImageInput | GivenImage, text: str, masked: bool = False
) -> Pair:
    """Run one image, of any kind that the Python interface takes, and one text.

    With ``masked``, the mask written in the text is the mask token.

    Raises UserError for an unreadable image or an empty text.
    """
    tokens, pixels = hub.encode(text, masked), hub.load_image(image)
    passes = run_pairs(hub.model, tokens[None].to(hub.device), pixels[None, None].to(hub.device))
    return Pair(tokens, pixels, next(passes))


def pair_weights(hub: HubInterface, pair: Pair) -> TokenWeights:
    """The weights for one pair; UserError for a model without managers."""
    model = hub.model
    check_managers(model)
    length, positions = len(pair.tokens), model.image_positions
    layers = pair.result.fused.layers
    return TokenWeights(
        picture=pair.pixels.permute(1, 2, 0).numpy(),
        words=readable_tokens(hub, pair.tokens),
        grid=model.network.vision_encoder.grid,
        text=[_of_one(layer.text_weights, length) for layer in layers],
        image=[_of_one(layer.image_weights, positions) for layer in layers],
        text_experts=expert_names(model, "text"),
        image_experts=expert_names(model, "image"),
    )


def _of_one(weights: Tensor | None, positions: int) -> np.ndarray[Any, Any]:
    """(n, positions), experts by tokens; padding of a constant text length is cut off."""
    assert weights is not None
    return token_weights(weights, positions)[0, :, :positions].float().cpu().numpy()


def readable_tokens(hub: HubInterface, tokens: Tensor) -> list[str]:
    """Each id as it is written: the decoded piece, or the symbol where that is empty."""
    tokenizer = hub.task.tokenizer
    return [tokenizer.decode([i]).strip() or tokenizer.symbols[i] for i in tokens.tolist()]


def table_rows(label: str, found: TokenWeights, modality: str) -> list[dict[str, Any]]:
    """Rows of a CSV, one a layer, expert and token, or patch with its row and column from 0."""
    if modality == "text":
        experts, layers = found.text_experts, found.text
        places = [{"position": i, "token": word} for i, word in enumerate(found.words)]
    else:
        experts, layers = found.image_experts, found.image
        columns = found.grid[1]
        places = [{"position": 0, "row": "", "column": ""}] + [
            {"position": 1 + i, "row": i // columns, "column": i % columns}
            for i in range(found.grid[0] * columns)
        ]
    return [
        {"model": label, "cross_modal_layer": number, "expert": expert, **place,
         "weight": round(float(value), 7)}
        for number, weights in enumerate(layers, start=1)
        for expert, values in zip(experts, weights, strict=False)
        for place, value in zip(places, values, strict=True)
    ]  # fmt: skip


def describe_pair(label: str, image: str, text: str) -> str:
    """What the captions of both figures begin with."""
    return f'Aggregation weights: {label}; one sample, {Path(image).name} with "{text}"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("checkpoint", type=existing_path, help=CHECKPOINT_HELP)
    parser.add_argument("--image", required=True, metavar="FILE", help="the picture")
    parser.add_argument("--text", required=True, help="question or caption")
    parser.add_argument("--label", metavar="NAME", help="what the model is called")
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write tokens-image and tokens-text as .png, .svg and .csv; exit code 0."""
    output = Output(args.out, [IMAGE_NAME, TEXT_NAME], args.overwrite)
    image = take_image(args.image, "--image")
    hub = HubInterface.from_pretrained(args.checkpoint)
    move(hub, args.device)
    found = pair_weights(hub, run_pair(hub, image, args.text))
    label = args.label or model_name(hub.model)
    caption = join_captions([describe_pair(label, args.image, args.text), NOTE])
    figures = {
        IMAGE_NAME: (draw_image_weights(found, caption), "image"),
        TEXT_NAME: (draw_text_weights(found, caption), "text"),
    }
    for name, (figure, modality) in figures.items():
        output.save_figure(name, figure)
        output.save_table(name, table_rows(label, found, modality))
    print(output.describe(list(figures)))
    return 0
