"""Checks of a model's options that need no weights, so that a mistake costs no time.

Each raises UserError with the option's name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from omegaconf import DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.models.presets import ROBERTA
from mt_fairseq.modules.vision import patch_grid

AT_LEAST = {
    "hidden_size": 1,
    "cross_modal_heads": 1,
    "num_cross_modal_layers": 1,
    "head_hidden_scale": 1,
    "num_managed_layers": 1,
    "num_managed_text_layers": 0,
    "num_managed_image_layers": 0,
    "manager_noise": 0,
    "cross_modal_inner": 0,
    "text_length": 0,
    "contrastive_size": 1,
}
SHARES = ("dropout", "attention_dropout", "encoder_dropout", "nlvr2_dropout")


def option(name: str) -> str:
    """A field's name as it is typed on the command line."""
    return "--" + name.replace("_", "-")


def check_ranges(cfg: DictConfig) -> None:
    """Numbers that no model could have, and widths that heads do not divide."""
    for name, least in AT_LEAST.items():
        if name in cfg and cfg[name] < least:
            raise UserError(f"{option(name)} must be at least {least}, not {cfg[name]}")
    for name in SHARES:
        if not 0 <= cfg[name] < 1:
            raise UserError(f"{option(name)} must be from 0 to below 1, not {cfg[name]}")
    if cfg.hidden_size % cfg.cross_modal_heads:
        raise UserError(
            f"--hidden-size {cfg.hidden_size} is no multiple of --cross-modal-heads "
            f"{cfg.cross_modal_heads}"
        )


def check_text_length(cfg: DictConfig, longest: int) -> None:
    """Texts that the text encoder's position table does not hold.

    Args:
        cfg: with resolved encoders.
        longest: the task's longest text in tokens, 0 where nothing bounds it.
    """
    config = json.loads(cfg.text_config)
    taken = int(config["pad_token_id"]) + 1 if config["model_type"] == ROBERTA else 0
    positions = config["max_position_embeddings"] - taken
    constant = cfg.text_length if "text_length" in cfg else 0  # ALBEF has no constant length
    for name, length in (("text_length", constant), ("max_text_len", longest)):
        if length > positions:
            raise UserError(
                f"{option(name)} {length}, but the text encoder holds texts of {positions}: "
                f"lower {option(name)}"
            )


def check_image_size(cfg: DictConfig, image_size: Sequence[int]) -> None:
    """Pixels that the patch size does not divide."""
    patch_grid(image_size, int(json.loads(cfg.vision_config)["patch_size"]))


def encoder_layers(cfg: DictConfig) -> dict[str, int]:
    """Layers of the ``text`` and the ``vision`` encoder."""
    return {
        which: int(json.loads(cfg[f"{which}_config"])["num_hidden_layers"])
        for which in ("text", "vision")
    }
