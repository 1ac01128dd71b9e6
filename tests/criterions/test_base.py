"""A criterion's named sums: how they become one loss, a logging output and logged values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from fairseq import metrics

from mt_fairseq.criterions.base import (
    LOSS,
    SETTING,
    SHARE,
    Average,
    Criterion,
    Metrics,
    Objective,
    average_loss,
)


class TwoObjectives(Criterion[dict[str, Any]]):
    """The second loss is there for batches that have it, with half the weight."""

    METRICS: ClassVar[Metrics] = {"first": LOSS, "right": SHARE, "speed": SETTING, "second": LOSS}

    def objectives(self, model: torch.nn.Module, sample: dict[str, Any]) -> list[Objective]:
        samples = sample["nsentences"]
        loss = model(sample["inputs"]).sum()
        right = torch.tensor(sample["right"], dtype=torch.bfloat16)
        figures = {"first": average_loss(loss, samples), "right": Average(right, samples)}
        found = [Objective(loss, figures=figures)]
        if "words" in sample:
            second = 2 * loss
            average = average_loss(second, sample["words"])
            found.append(Objective(second, weight=0.5, figures={"second": average}))
        return found


def run(model: torch.nn.Module, **sample: Any) -> tuple[torch.Tensor, int, dict[str, Any]]:
    task: Any = SimpleNamespace()
    return TwoObjectives(task)(model, {"ntokens": 7, **sample})


def test_losses_are_weighted_and_figures_are_averaged_over_batches() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    batches: list[dict[str, Any]] = [
        {"inputs": torch.tensor([[1.0], [2.0]]), "right": 1, "nsentences": 2, "words": 8},
        {"inputs": torch.tensor([[3.0], [4.0], [5.0]]), "right": 3, "nsentences": 3},
    ]
    results = [run(model, **batch) for batch in batches]
    assert [(loss.item(), size) for loss, size, _ in results] == [(6.0, 2), (12.0, 3)]
    results[0][0].backward()
    assert model.weight.grad.item() == 6.0
    logs = [log for _, _, log in results]
    assert not any(torch.is_tensor(x) and x.requires_grad for log in logs for x in log.values())
    assert logs[0]["right"].dtype == torch.float32
    with metrics.aggregate(new_root=True) as logged:
        TwoObjectives.reduce_metrics(logs)
    assert logged.get_smoothed_values() == pytest.approx(
        {"loss": 18 / 5, "first": 15 / 5, "right": 80.0, "second": 6 / 8, "nsentences": 5},
        abs=1e-3,
    )


def test_checkpoints_are_chosen_by_what_is_better_at_one_end() -> None:
    declared = TwoObjectives.declared_metrics(SimpleNamespace())
    assert declared == {"loss": False, "first": False, "right": True, "second": False}
