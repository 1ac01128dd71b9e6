"""Stand-ins for published files: reference weights cut to a data-bin's vocabulary and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

HEADS = {
    "vqa": ("vqa_classifier.",),
    "snli_ve": ("snli_classifier.",),
    "nlvr2": ("nlvr2_classifier.",),
    "pretraining": ("mlm_score.", "itm_score."),
    "retrieval": ("itm_score.", "cross_modal_itc_", "rank_output."),
}
GOLDEN_HEADS = 4  # attention heads of all reference models, whose widths are no multiple of 64


def official_state(
    folder: Path, task: str, vocabulary: int, answers: int = 17
) -> dict[str, Tensor]:
    """A reference model's state dict with the heads of one task."""
    state = load_file(folder / "weights.safetensors")
    unwanted = {prefix for prefixes in HEADS.values() for prefix in prefixes} - set(HEADS[task])
    state = {name: t for name, t in state.items() if not name.startswith(tuple(unwanted))}
    for name in ("text_transformer.embeddings.word_embeddings.weight", "mlm_score.bias",
                 "mlm_score.decoder.weight"):  # fmt: skip
        if name in state:
            state[name] = state[name][:vocabulary].clone()
    for name in ("vqa_classifier.3.weight", "vqa_classifier.3.bias"):
        if name in state:
            state[name] = state[name][:answers].clone()
    if task == "retrieval":
        state["rank_output.weight"] = state["itm_score.fc.weight"][1:].clone()
        state["rank_output.bias"] = state["itm_score.fc.bias"][1:].clone()
    if task == "vqa":  # Lightning saved counters of its metrics at times
        state["val_vqa_score.score"] = torch.zeros(())
    return state


def hyper_parameters(folder: Path) -> dict[str, Any]:
    """What a Lightning file tells of its run; the text length is not in the tensors."""
    config = json.loads((folder / "config.json").read_text())
    keys = ("max_text_len", "num_heads", "nlvr2_drop_rate")
    return {"config": {key: config[key] for key in keys}}


def write_published(
    path: Path, folder: Path, task: str, vocabulary: int, answers: int = 17, **extra: Any
) -> Path:
    """A Lightning file; ``extra`` goes beside its tensors."""
    content = {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "1.3.2",
        "state_dict": official_state(folder, task, vocabulary, answers),
        "hyper_parameters": hyper_parameters(folder),
        "hparams_name": "kwargs",
        **extra,
    }
    torch.save(content, path)
    return path
