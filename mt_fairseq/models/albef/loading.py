"""Making a checkpoint of ALBEF fit the next task's model (the reference's tables of names).

Pre-training has neither answer decoder nor doubled fusion layers; fine-tuning may or may not have a
momentum model. What is new is made from what the checkpoint has, after which the shared rules of
``models.loading`` apply, once to the model and once to its momentum twin.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mt_fairseq.models.albef.contract import AlbefParts
from mt_fairseq.models.head_classes import ClassNames
from mt_fairseq.models.loading import (
    HEADS,
    POSITIONS,
    WORDS,
    LoadReport,
    Measure,
    axis_of,
    check_same_network,
    count_of,
    layout_of,
    reconcile_heads,
    resize_image_positions,
)

TWIN, QUEUE = "twin.", "queue."
LAYERS, PARTNERS = "network.fusion.layers.", "network.fusion.partners."
DECODER = "heads.answers."
DECODER_SOURCES = {
    f"{DECODER}layers.": LAYERS,
    f"{DECODER}embeddings.": "network.text_encoder.embeddings.",
    f"{DECODER}head.": "heads.mlm.",
}

SETTINGS: dict[str, Measure] = {
    "text encoder width": axis_of(WORDS, 1),
    "text layers (--fusion-layer)": count_of("network.text_encoder.layers."),
    "fusion layers": count_of(LAYERS),
    "text encoder heads": layout_of("text heads"),
    "text encoder positions": axis_of(
        "network.text_encoder.embeddings.position_embeddings.weight", 0
    ),
    "vision encoder width": axis_of(POSITIONS, 1),
    "vision encoder layers": count_of("network.vision_encoder.blocks."),
    "vision encoder heads": layout_of("vision heads"),
    "patch size": axis_of("network.vision_encoder.patches.weight", 2),
}

State = dict[str, Tensor]


def reconcile_albef(model: AlbefParts, state: State) -> LoadReport:
    """Change ``state`` in place so that ``model`` can load it strictly.

    A checkpoint without momentum model gives its weights to the model's twin too: a teacher that
    starts from anything else would teach noise. ``--stale-teacher`` is the reference's way.

    Raises:
        UserError: a vocabulary or an architecture that differs, named.
    """
    own = model.state_dict()
    report = LoadReport()
    queue = take(state, QUEUE)
    saved_twin = take(state, TWIN)
    online = {name: value for name, value in own.items() if not name.startswith((TWIN, QUEUE))}
    _fit_network(online, state, model.class_names, report)
    if model.twin is not None:
        twin = _part(own, TWIN)
        if saved_twin:
            _fit_network(twin, saved_twin, model.class_names, LoadReport())
        elif not model.cfg.stale_teacher:
            saved_twin = {name: state[name] for name in twin}  # which have been fitted above
        state.update({TWIN + name: value for name, value in (saved_twin or twin).items()})
    elif saved_twin:
        report.left_out.append("momentum model")
    if model.queue is not None:
        state.update(_fit_queue(_part(own, QUEUE), queue, report))
    report.loaded = len(online) - sum(
        name.startswith(tuple(f"{HEADS}{head}." for head in report.fresh_heads)) for name in online
    )
    return report


def take(state: State, prefix: str) -> State:
    """Remove what stands under ``prefix`` from ``state`` and give it without the prefix."""
    return {name[len(prefix) :]: state.pop(name) for name in list(state) if name.startswith(prefix)}


def _part(own: Mapping[str, Tensor], prefix: str) -> State:
    return {name[len(prefix) :]: value for name, value in own.items() if name.startswith(prefix)}


def _fit_network(
    own: Mapping[str, Tensor], state: State, names: ClassNames, report: LoadReport
) -> None:
    """Fit network and heads: of the model, or of its twin."""
    _fit_partners(own, state, report)
    _make_decoder(own, state, report)
    reconcile_heads(own, state, names, report)
    check_same_network(own, state, SETTINGS, free=(POSITIONS,))
    resize_image_positions(own, state, report)


def _fit_partners(own: Mapping[str, Tensor], state: State, report: LoadReport) -> None:
    """Double the fusion layers for pairs of images, or leave the second of each couple out."""
    wanted = [name for name in own if name.startswith(PARTNERS)]
    if not wanted and take(state, PARTNERS):
        report.left_out.append("fusion layers of second images")
    if wanted and not any(name.startswith(PARTNERS) for name in state):
        for name in wanted:
            source = LAYERS + name[len(PARTNERS) :]
            if source in state:
                state[name] = state[source]
        report.resized.append("fusion layers doubled for second images")


def _make_decoder(own: Mapping[str, Tensor], state: State, report: LoadReport) -> None:
    """An answer decoder from fusion layers, word embeddings and MLM head, where it lacks."""
    if any(name.startswith(DECODER) for name in state):
        return
    made = {}
    for name in own:
        for prefix, source in DECODER_SOURCES.items():
            value = state.get(source + name[len(prefix) :]) if name.startswith(prefix) else None
            if value is not None and value.shape == own[name].shape:
                made[name] = value
    if made:  # what has no source of its shape keeps its fresh values
        state.update({name: own[name] for name in own if name.startswith(DECODER)} | made)
        report.made.append("answers head (a decoder, from fusion layers, words and MLM head)")


def _fit_queue(own: State, queue: State, report: LoadReport) -> State:
    """The checkpoint's queue; the fresh one where there is none of this size."""
    same = bool(queue) and all(queue[name].shape == own[name].shape for name in own)
    if queue and not same:
        report.resized.append(f"queue {len(queue['ids'])} to {len(own['ids'])}, filled anew")
    return {QUEUE + name: value for name, value in (queue if same else own).items()}
