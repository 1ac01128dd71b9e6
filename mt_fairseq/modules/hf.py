"""The one place that imports transformers.

fairseq requires torchaudio, whose published build cannot be loaded beside a torch without CUDA;
transformers 5 imports it wherever it is installed. Nothing here handles audio, so a torchaudio
that cannot be loaded is declared absent before transformers looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import utils


def _hide_broken_torchaudio() -> None:
    try:
        import torchaudio  # type: ignore[import-untyped]  # noqa: F401
    except (ImportError, OSError):
        utils.is_torchaudio_available = lambda: False


_hide_broken_torchaudio()

from transformers import (  # noqa: E402
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
)
from transformers.utils import cached_file  # noqa: E402

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
