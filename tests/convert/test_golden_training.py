"""What training needs of the reference: parameter groups and initial values."""

from __future__ import annotations

import pytest
import torch

from mt_fairseq.convert.official import official_config
from mt_fairseq.convert.task_parts import head_kind
from mt_fairseq.optim.adamw import AdamWConfig, TwoTowerAdamW
from tests.convert.golden import Golden


def test_parameter_groups(golden: Golden) -> None:
    model = golden.model()
    cfg = AdamWConfig(
        weight_decay=0.01, head_lr_multiplier=50, cross_modal_lr_multiplier=5, lr=[1e-4]
    )
    optimizer = TwoTowerAdamW(cfg, model.parameters())
    options = {
        id(parameter): (group["weight_decay"], group["lr_multiplier"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    parameters = dict(model.named_parameters())
    compared = 0
    for name, expected in golden.json("param_groups.json").items():
        for place in golden.places.get(name, []):
            assert options[id(parameters[place.target])] == tuple(expected), name
            compared += 1
    assert compared >= len(parameters)


def test_initial_values(golden: Golden) -> None:
    """Fresh parts have the reference's means, spreads and constants; all are trained."""
    reference = golden.model()
    torch.manual_seed(1)
    cfg = official_config(golden.config)
    kind = type(reference)
    size = golden.config["image_size"]
    fresh = kind(cfg, kind.build_network(cfg, (size, size)))
    for name, head in reference.heads.items():
        fresh.register_classification_head(name, _classes(head), head_kind(name))
    parameters = dict(fresh.named_parameters())
    compared = 0
    for name, expected in golden.json("init_stats.json").items():
        if name not in golden.places:
            continue
        values = golden.as_official(name, parameters).detach()
        compared += 1
        assert expected["requires_grad"]
        if expected["std"] == 0 or name.endswith("layer_scores"):
            assert values.mean() == pytest.approx(expected["mean"], abs=1e-6), name
            assert values.min() == pytest.approx(expected["min"], abs=1e-7), name
            assert values.max() == pytest.approx(expected["max"], abs=1e-7), name
        else:
            spread = 0.02 / values.numel() ** 0.5
            assert abs(values.mean()) < 5 * spread, name
            assert values.std() == pytest.approx(0.02, abs=5 * spread), name
    assert all(parameter.requires_grad for parameter in parameters.values())
    assert compared > 150


def _classes(head: torch.nn.Module) -> int:
    for attribute in ("out", "decoder", "text"):
        if hasattr(head, attribute):
            return getattr(head, attribute).out_features
    return head.out_features  # type: ignore[return-value]
