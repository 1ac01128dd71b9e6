"""The one place that imports transformers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mt_fairseq.errors import UserError

try:
    from transformers import (
        AutoConfig,
        BertConfig,
        BertForMaskedLM,
        BertModel,
        BridgeTowerConfig,
        BridgeTowerForContrastiveLearning,
        BridgeTowerForImageAndTextRetrieval,
        BridgeTowerForMaskedLM,
        BridgeTowerModel,
        CLIPConfig,
        CLIPModel,
        CLIPVisionConfig,
        CLIPVisionModel,
        PretrainedConfig,
        RobertaConfig,
        RobertaModel,
        ViTConfig,
        ViTModel,
        utils,
    )
    from transformers.utils import cached_file
except (ImportError, OSError, RuntimeError) as error:  # it imports others, torchaudio for one
    raise UserError(
        f"transformers can't be imported ({error}): python -m mt_fairseq.doctor says why"
    ) from error

__all__ = [
    "AutoConfig",
    "BertConfig",
    "BertForMaskedLM",
    "BertModel",
    "BridgeTowerConfig",
    "BridgeTowerForContrastiveLearning",
    "BridgeTowerForImageAndTextRetrieval",
    "BridgeTowerForMaskedLM",
    "BridgeTowerModel",
    "CLIPConfig",
    "CLIPModel",
    "CLIPVisionConfig",
    "CLIPVisionModel",
    "PretrainedConfig",
    "RobertaConfig",
    "RobertaModel",
    "ViTConfig",
    "ViTModel",
    "cached_file",
    "quiet_transformers",
]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Only errors from transformers inside, and no progress bars for reading local weights."""
    verbosity = utils.logging.get_verbosity()
    bars = utils.logging.is_progress_bar_enabled()
    utils.logging.set_verbosity_error()
    utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        utils.logging.set_verbosity(verbosity)
        if bars:
            utils.logging.enable_progress_bar()
