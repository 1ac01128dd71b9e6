"""Which group of the reference's optimiser each parameter belongs to.

The reference decides by substrings of its parameter names; here the part of the network that a
parameter belongs to decides, with the same result (a test compares them one by one). The tag is
the parameter's attribute ``param_group``, which survives in fairseq's float32 copies.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn import Parameter

from mt_fairseq.modules.aggregation.experts import ExpertInput
from mt_fairseq.modules.heads import ContrastiveHead, DecayedLayerNorm
from mt_fairseq.modules.two_tower import TwoTower
from mt_fairseq.modules.vision import VisionEncoder

BASE, CROSS_MODAL, HEAD = "base", "cross_modal", "head"
NO_DECAY = "no_decay"


def group_name(part: str, decays: bool) -> str:
    """Name of a group: the part that sets its learning rate, and whether it decays."""
    return part if decays else f"{part}.{NO_DECAY}"


def tag_parameters(module: nn.Module, part: str) -> None:
    """Tag every parameter below ``module`` as one of ``part``."""
    for parameter, decays in _with_decay(module, False):
        parameter.param_group = group_name(part, decays)  # type: ignore[attr-defined]


def tag_model(network: TwoTower, heads: nn.ModuleDict) -> None:
    """Tag a whole model: encoders and embedding tables have the base learning rate."""
    tag_parameters(network, CROSS_MODAL)
    tag_parameters(network.text_encoder, BASE)
    tag_parameters(network.vision_encoder, BASE)
    tag_parameters(network.token_types, BASE)
    for module in network.modules():
        if isinstance(module, ExpertInput):
            for part in (module.layer_embeddings, module.gate):
                if part is not None:
                    tag_parameters(part, BASE)
    for head in heads.values():
        tag_head(head)


def tag_head(head: nn.Module) -> None:
    """Tag a task head; contrastive projections count as cross-modal, their temperature as base."""
    if isinstance(head, ContrastiveHead):
        tag_parameters(head, CROSS_MODAL)
        head.temperature.param_group = group_name(BASE, True)  # type: ignore[attr-defined]
    else:
        tag_parameters(head, HEAD)


def _with_decay(module: nn.Module, decayed_norms: bool) -> Iterator[tuple[Parameter, bool]]:
    """Biases and layer norms don't decay; CLIP's norms and ``DecayedLayerNorm`` do."""
    if isinstance(module, VisionEncoder):
        decayed_norms = module.decays_norms
    is_norm = isinstance(module, nn.LayerNorm) and not isinstance(module, DecayedLayerNorm)
    for name, parameter in module.named_parameters(recurse=False):
        scale_decays = not is_norm or decayed_norms
        yield parameter, not name.endswith("bias") and scale_decays
    for child in module.children():
        yield from _with_decay(child, decayed_norms)
