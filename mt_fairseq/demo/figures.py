"""The managers' weights for what was last asked, as PNG files."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from mt_fairseq.analysis.figures import picture_bytes
from mt_fairseq.analysis.subjects import model_name
from mt_fairseq.analysis.tokens import pair_weights, run_pair
from mt_fairseq.analysis.tokens_figure import draw_image_weights, draw_text_weights
from mt_fairseq.analysis.weights import average_weights, draw_weights
from mt_fairseq.demo.pictures import Picture
from mt_fairseq.demo.skills import Reply
from mt_fairseq.models.hub import HubInterface

Drawing = Callable[[], Figure]


def drawings(hub: HubInterface, picture: Picture, reply: Reply) -> dict[str, Drawing]:
    """What draws each figure, by name; the network has run, nothing is drawn yet.

    Raises UserError for a model without managers.
    """
    pair = run_pair(hub, picture.data, reply.text, reply.masked)
    tokens = pair_weights(hub, pair)
    label = model_name(hub.model)
    managers = average_weights(hub.model, [pair.result])
    caption = f'Aggregation weights: {label}; one sample, {picture.name} with "{reply.text}".'
    return {
        "weights": lambda: draw_weights({label: managers}, caption),
        "patches": lambda: draw_image_weights(tokens, caption),
        "words": lambda: draw_text_weights(tokens, caption),
    }


def draw_png(drawing: Drawing) -> bytes:
    """Draw one."""
    return picture_bytes(drawing(), "png")
