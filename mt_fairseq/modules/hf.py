"""The one place that imports transformers.

fairseq requires torchaudio, whose published build cannot be loaded beside a torch without CUDA;
transformers 5 imports it wherever it is installed. Nothing here handles audio, so a torchaudio
that cannot be loaded is declared absent before transformers looks.
"""

from __future__ import annotations

from transformers import utils


def _hide_broken_torchaudio() -> None:
    try:
        import torchaudio  # type: ignore[import-untyped]  # noqa: F401
    except (ImportError, OSError):
        utils.is_torchaudio_available = lambda: False


_hide_broken_torchaudio()

from transformers import (  # noqa: E402
    AutoConfig,
    CLIPVisionConfig,
    CLIPVisionModel,
    PretrainedConfig,
    RobertaConfig,
    RobertaModel,
)

__all__ = [
    "AutoConfig",
    "CLIPVisionConfig",
    "CLIPVisionModel",
    "PretrainedConfig",
    "RobertaConfig",
    "RobertaModel",
]
