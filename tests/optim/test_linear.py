from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mt_fairseq.errors import UserError
from mt_fairseq.optim.adamw import AdamWConfig, TwoTowerAdamW
from mt_fairseq.optim.linear import LinearConfig, LinearSchedule


def schedule(**options: Any) -> LinearSchedule:
    optimizer = TwoTowerAdamW(AdamWConfig(lr=[0.5]), [torch.nn.Parameter(torch.ones(1))])
    return LinearSchedule(LinearConfig(lr=[0.5], **options), optimizer)


@pytest.mark.parametrize("warmup", [{"warmup_ratio": 0.1}, {"warmup_updates": 5}])
def test_agrees_with_the_reference(shared_dir: Path, warmup: dict[str, Any]) -> None:
    reference = json.loads((shared_dir / "golden" / "lr_schedule.json").read_text())["linear"]
    scheduler = schedule(max_update=50, **warmup)
    assert scheduler.optimizer.get_lr() == 0.0
    for step, multiplier in enumerate(reference):
        assert scheduler.step_update(step) == pytest.approx(0.5 * multiplier, abs=1e-12)


def test_no_warmup_starts_at_the_peak_and_a_share_is_truncated() -> None:
    assert schedule(max_update=4).step_update(0) == 0.5
    assert schedule(max_update=19, warmup_ratio=0.1).warmup == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_update": 0}, "--max-update"),
        ({"max_update": 9, "warmup_updates": 2, "warmup_ratio": 0.1}, "not both"),
        ({"max_update": 9, "warmup_ratio": 1.0}, "--warmup-ratio"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        schedule(**options)


def test_one_learning_rate_only() -> None:
    optimizer = TwoTowerAdamW(AdamWConfig(lr=[0.5]), [torch.nn.Parameter(torch.ones(1))])
    with pytest.raises(UserError, match="one --lr"):
        LinearSchedule(LinearConfig(lr=[0.5, 0.1], max_update=9), optimizer)
