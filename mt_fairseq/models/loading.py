"""Making any checkpoint of the family fit this model, and saying what was taken.

fairseq resumes and fine-tunes through one strict ``load_state_dict``, so what may differ between
two runs is reconciled here first: heads and their classes, resolution, a second image's token type.
Everything else must be the same, else the checkpoint is of another architecture: an error that
names the setting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mt_fairseq.errors import UserError
from mt_fairseq.models.head_classes import ClassNames, HeadTensors, in_words
from mt_fairseq.modules.positions import resize_positions
from mt_fairseq.modules.two_tower import LAYOUT

HEADS = "heads."
POSITIONS = "network.vision_encoder.positions"
TOKEN_TYPES = "network.token_types.weight"
Measure = Callable[[Mapping[str, Tensor]], object]
NETWORK_LAYOUT = "network.layout"
WORDS = "network.text_encoder.embeddings.word_embeddings.weight"


@dataclass
class LoadReport:
    """What a checkpoint gave to a model."""

    loaded: int = 0  # tensors taken as they are
    new: list[str] = field(default_factory=list)  # heads that keep their fresh values
    made: list[str] = field(default_factory=list)  # heads that start from other parts' weights
    left_out: list[str] = field(default_factory=list)  # heads that this model lacks
    resized: list[str] = field(default_factory=list)  # tables that changed their size
    classes: list[str] = field(default_factory=list)  # what became of the rows of each class head

    @property
    def fresh_heads(self) -> list[str]:
        """Names of the heads that keep their fresh values."""
        return sorted(_names(self.new))

    @property
    def untrained_heads(self) -> list[str]:
        """Names of the heads that the checkpoint itself did not have."""
        return sorted(_names(self.new + self.made))

    def __str__(self) -> str:
        parts = [f"{self.loaded} tensors loaded"]
        for name in ("new", "made", "left_out", "resized", "classes"):
            items = getattr(self, name)
            if items:
                parts.append(f"{name.replace('_', ' ')}: {', '.join(items)}")
        return "checkpoint: " + "; ".join(parts)


def reconcile(own: Mapping[str, Tensor], state: dict[str, Tensor], names: ClassNames) -> LoadReport:
    """Change ``state`` in place so that a model with tensors ``own`` can load it strictly.

    Args:
        names: the heads' classes.

    Raises:
        UserError: a vocabulary or an architecture that differs, named.
    """
    report = LoadReport()
    reconcile_heads(own, state, names, report)
    check_same_network(own, state, SETTINGS, free=(POSITIONS, TOKEN_TYPES))
    resize_image_positions(own, state, report)
    _fit_token_types(own, state, report)
    report.loaded = len(own) - sum(name.split(".")[1] in _names(report.new) for name in own)
    return report


def _names(items: list[str]) -> set[str]:
    return {item.split(" ")[0] for item in items}


def _head_of(name: str) -> str | None:
    return name.split(".")[1] if name.startswith(HEADS) else None


def reconcile_heads(
    own: Mapping[str, Tensor], state: dict[str, Tensor], names: ClassNames, report: LoadReport
) -> None:
    """Drop heads that the model lacks, move rows to their classes; what is new stays fresh."""
    ours, saved = _by_head(own), _by_head(state)
    for head in saved.keys() - ours.keys():
        report.left_out.append(f"{head} head")
    for head in sorted(ours):
        fitted = None
        if head not in saved:
            report.new.append(f"{head} head")
        else:
            fitted = _fit_head(head, HeadTensors(ours[head], saved[head]), names, report)
        ours[head] = ours[head] if fitted is None else fitted
    for tensors in saved.values():
        for name in tensors:
            del state[name]
    for tensors in ours.values():
        state.update(tensors)
    report.new.sort()
    report.left_out.sort()


def _fit_head(
    head: str, tensors: HeadTensors, names: ClassNames, report: LoadReport
) -> dict[str, Tensor] | None:
    """The checkpoint's head as this run takes it: by the names of its classes, or by its shape."""
    own, saved = names.own.get(head), names.saved.get(head)
    if not tensors.named_by(own, saved):
        if not tensors.same_shapes:
            report.new.append(f"{head} head (other number of classes or width)")
            return None
        if own is not None:
            report.classes.append(
                f"{head} head as it was: the checkpoint does not name its classes, whose order is "
                "taken to be the data's"
            )
        return dict(tensors.saved)
    assert own is not None and saved is not None
    if not tensors.differ_in_classes_alone:
        report.new.append(f"{head} head (other width)")
        return None
    if not set(own) & set(saved):
        report.new.append(f"{head} head (no class in common)")
        return None
    report.classes.append(f"{head} head, {in_words(own, saved)}")
    return tensors.moved(own, saved)


def _by_head(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    heads: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        head = _head_of(name)
        if head is not None:
            heads.setdefault(head, {})[name] = value
    return heads


def resize_image_positions(
    own: Mapping[str, Tensor], state: dict[str, Tensor], report: LoadReport
) -> None:
    """Interpolate the vision position table where the resolution changed."""
    rows, columns = own[NETWORK_LAYOUT][:2].tolist()
    old_rows, old_columns = state[NETWORK_LAYOUT][:2].tolist()
    if (rows, columns) == (old_rows, old_columns):
        return
    table = resize_positions(state[POSITIONS], (rows, columns), (old_rows, old_columns))
    state[POSITIONS] = table
    state[NETWORK_LAYOUT] = own[NETWORK_LAYOUT]
    report.resized.append(f"image positions {old_rows}x{old_columns} to {rows}x{columns} patches")


def _fit_token_types(
    own: Mapping[str, Tensor], state: dict[str, Tensor], report: LoadReport
) -> None:
    """A pair of images needs a third row, a copy of the trained row of the first image."""
    have, want = len(state[TOKEN_TYPES]), len(own[TOKEN_TYPES])
    if have == want:
        return
    table = state[TOKEN_TYPES]
    state[TOKEN_TYPES] = table[:want] if have > want else torch.cat([table, table[1:2]])
    report.resized.append(f"token types {have} to {want} rows")


def check_same_network(
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    settings: Mapping[str, Measure],
    free: Collection[str],
) -> None:
    """UserError unless all but ``free`` has the same names and shapes.

    What differs is named by the first of ``settings`` that measures it otherwise in the two.
    """
    if WORDS in state and len(state[WORDS]) != len(own[WORDS]):
        raise UserError(
            f"the checkpoint's text vocabulary has {len(state[WORDS])} entries, the data's "
            f"tokenizer {len(own[WORDS])}: preprocess the data with the checkpoint's tokenizer"
        )
    differing = [
        f"{what}: {there} in the checkpoint, {here} in this run"
        for what, measure in settings.items()
        if (there := _measure(measure, state)) != (here := _measure(measure, own))
    ]
    if differing:
        raise UserError(f"the checkpoint is of another architecture; {'; '.join(differing)}")
    for name in own.keys() | state.keys():
        there, here = _shape(state, name), _shape(own, name)
        if there != here and not (name in free and None not in (there, here)):
            raise UserError(
                f"the checkpoint is of another architecture; {name} is {there or 'absent'} in the "
                f"checkpoint and {here or 'absent'} in this run"
            )


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None


def _measure(measure: Measure, tensors: Mapping[str, Tensor]) -> object:
    try:
        return measure(tensors)
    except (KeyError, IndexError):
        return "none"


def count_of(prefix: str) -> Measure:
    """How many numbered modules there are under ``prefix``."""
    depth = prefix.count(".")
    return lambda tensors: len({n.split(".")[depth] for n in tensors if n.startswith(prefix)})


def axis_of(name: str, axis: int) -> Measure:
    """The size of one axis of a tensor."""
    return lambda tensors: tensors[name].shape[axis]


def layout_of(entry: str) -> Measure:
    """What the network's layout says of what shapes don't show."""
    return lambda tensors: int(tensors[NETWORK_LAYOUT][LAYOUT.index(entry)])


def _aggregation(which: str) -> Measure:
    """The parts that a modality's aggregations consist of, which tell their type."""

    def measure(tensors: Mapping[str, Tensor]) -> str:
        prefix = f"network.cross_modal.{which}_aggregations."
        parts = {name.split(".")[4] for name in tensors if name.startswith(prefix)}
        return ", ".join(sorted(parts)) or "last layer only"

    return measure


def _fusion(tensors: Mapping[str, Tensor]) -> str:
    """Parts of a cross-modal layer: a half for each modality, or one layer for both."""
    prefix = "network.cross_modal.layers.0."
    return ", ".join(sorted({n.split(".")[4] for n in tensors if n.startswith(prefix)}))


def _experts(which: str) -> Measure:
    return axis_of(f"network.cross_modal.{which}_aggregations.0.expert_norm_weight", 0)


SETTINGS: dict[str, Measure] = {
    "cross-modal width (--hidden-size)": axis_of(TOKEN_TYPES, 1),
    "--num-cross-modal-layers": count_of("network.cross_modal.layers."),
    "parts of a cross-modal layer (--fusion)": _fusion,
    "--cross-modal-heads": layout_of("cross-modal heads"),
    "text encoder width": axis_of(WORDS, 1),
    "text encoder layers": count_of("network.text_encoder.layers."),
    "text encoder heads": layout_of("text heads"),
    "text encoder positions": axis_of(
        "network.text_encoder.embeddings.position_embeddings.weight", 0
    ),
    "vision encoder width": axis_of(POSITIONS, 1),
    "vision encoder layers": count_of("network.vision_encoder.blocks."),
    "vision encoder heads": layout_of("vision heads"),
    "patch size": axis_of("network.vision_encoder.patches.weight", 2),
    "managed text layers (--num-managed-layers)": _experts("text"),
    "managed image layers (--num-managed-layers)": _experts("image"),
    "parts of the text's aggregation": _aggregation("text"),
    "parts of the image's aggregation": _aggregation("image"),
}
