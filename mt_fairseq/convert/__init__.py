"""Weights in from the official checkpoints, by tables of names.

``from mt_fairseq.convert import from_official``; importing the package alone loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mt_fairseq.models.two_tower import TwoTowerModel


def from_official(state_dict: Mapping[str, Tensor], config: Mapping[str, Any]) -> TwoTowerModel:
    """The registered model that an official ``state_dict`` holds, in evaluation mode.

    Args:
        state_dict: the official names and tensors.
        config: sizes of the model, named as in a golden folder's config.json.

    Raises:
        UserError: tensors left over, missing, or of another shape than ``config`` says.
    """
    from mt_fairseq.convert import official

    return official.from_official(state_dict, config)
