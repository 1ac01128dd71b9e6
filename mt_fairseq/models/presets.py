"""Configurations of known encoders, so that random weights and checkpoints need no network."""

from __future__ import annotations

from typing import Any

CLIP, VIT = "clip_vision_model", "vit"
ROBERTA, BERT = "roberta", "bert"

_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
_LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
_CLIP = {"model_type": CLIP, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_VIT = {"model_type": VIT, "layer_norm_eps": 1e-12, "patch_size": 16, **_BASE}
_ROBERTA = {
    "model_type": ROBERTA,
    "vocab_size": 50265,
    "pad_token_id": 1,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}
_BERT = {
    "model_type": BERT,
    "vocab_size": 30522,
    "pad_token_id": 0,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}

# What the hub's config.json of each name says (and its preprocessor_config.json of the pixels).
PRESETS: dict[str, dict[str, Any]] = {
    "openai/clip-vit-base-patch32": {**_CLIP, **_BASE, "patch_size": 32},
    "openai/clip-vit-base-patch16": {**_CLIP, **_BASE, "patch_size": 16},
    "openai/clip-vit-large-patch14": {**_CLIP, **_LARGE, "patch_size": 14},
    "google/vit-base-patch16-224": {**_VIT, **_HALF, "image_size": 224},
    "google/vit-base-patch16-384": {**_VIT, **_HALF, "image_size": 384},
    "facebook/deit-base-patch16-224": {**_VIT, **_IMAGENET, "image_size": 224},
    "roberta-base": {**_ROBERTA, **_BASE},
    "roberta-large": {**_ROBERTA, **_LARGE},
    "bert-base-uncased": {**_BERT, **_BASE},
}
