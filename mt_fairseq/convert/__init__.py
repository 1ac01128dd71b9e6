"""Weights in and out: official checkpoints, transformers' BridgeTower; by tables of names.

``from mt_fairseq.convert import from_official, from_huggingface, to_huggingface``. Importing the
package alone loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mt_fairseq.models.albef.model import AlbefModel
    from mt_fairseq.models.two_tower.model import TwoTowerModel


def from_official(
    state_dict: Mapping[str, Tensor], config: Mapping[str, Any], allow_leftovers: bool = False
) -> TwoTowerModel:
    """The registered model that an official ``state_dict`` holds, in evaluation mode.

    Args:
        state_dict: the official names and tensors.
        config: sizes of the model, named as in a golden folder's config.json
            (``mt_fairseq.convert.infer.infer_config`` reads them off the tensors).
        allow_leftovers: go on without tensors that the model has no place for.

    The model's ``conversion`` says what was mapped, missing, left over and known to be unused.

    Raises:
        UserError: tensors left over, missing, or of another shape than ``config`` says.
    """
    from mt_fairseq.convert import official

    return official.from_official(state_dict, config, allow_leftovers)


def from_official_albef(
    state_dict: Mapping[str, Tensor],
    config: Mapping[str, Any],
    kind: str,
    allow_leftovers: bool = False,
) -> AlbefModel:
    """The ALBEF that an official ``state_dict`` holds, in evaluation mode.

    Momentum weights and queues come along where the file has them.

    Args:
        state_dict: the official names and tensors.
        config: sizes: vision_width, vision_layers, vision_heads, image_res, text_width, text_heads,
            num_hidden_layers (of text and fusion, before doubling), fusion_layer, vocab_size,
            text_max_positions, embed_dim; queue_size and momentum where it has them.
        kind: pretrain, retrieval (also grounding), ve, nlvr, pretrain_nlvr (the task before
            NLVR2) or vqa.
        allow_leftovers: go on without tensors that the model has no place for.

    The model's ``conversion`` says what was mapped, missing, left over and known to be unused.

    Raises:
        UserError: another kind, a ``config`` without one of the sizes, tensors left over, missing,
            or of another shape than ``config`` says.
    """
    from mt_fairseq.convert import albef

    return albef.from_official_albef(state_dict, config, kind, allow_leftovers)


def from_huggingface(model: Any, allow_leftovers: bool = False) -> TwoTowerModel:
    """The registered BridgeTower that a transformers BridgeTower holds, in evaluation mode.

    ``model`` is a BridgeTowerModel, or one of its ForMaskedLM, ForImageAndTextRetrieval and
    ForContrastiveLearning. Leftovers and ``conversion`` as in :func:`from_official`.

    Raises:
        UserError: a configuration that BridgeTower's paper does not have.
    """
    from mt_fairseq.convert import huggingface

    return huggingface.from_huggingface(model, allow_leftovers)


def to_huggingface(
    model: TwoTowerModel, head: str | None = None, allow_leftovers: bool = False
) -> Any:
    """The transformers BridgeTower with the weights of ``model``, in evaluation mode.

    ``head`` picks the class where the model has several: mlm, itm, itc, or "" for none; naming
    one leaves the others behind. Leftovers and ``conversion`` as in :func:`from_official`.

    Raises:
        UserError: a model that transformers' BridgeTower cannot hold, with the reason.
    """
    from mt_fairseq.convert import huggingface

    return huggingface.to_huggingface(model, head, allow_leftovers)
