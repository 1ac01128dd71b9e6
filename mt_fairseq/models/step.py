"""How a criterion runs a training step: by name, through the model's forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from torch import nn

Inputs = ParamSpec("Inputs")
Output = TypeVar("Output")


class Step(Generic[Inputs, Output]):
    """A function of a model and a batch, as one that the model's forward runs.

    Every wrapper for several processes sees what runs in ``forward``, so a criterion gives the
    wrapped model: ``pretraining(model, **sample["net_input"], itc=True)``. The keys of the batch
    are checked against what the step takes, by mypy.

    Args:
        run: takes the model itself; its name is the step's name.
    """

    def __init__(self, run: Callable[Concatenate[Any, Inputs], Output]) -> None:
        self.run = run
        self.name = run.__name__

    def __call__(self, model: nn.Module, *args: Inputs.args, **kwargs: Inputs.kwargs) -> Output:
        return model(*args, step=self.name, **kwargs)


def by_name(*steps: Step[Any, Any]) -> dict[str, Step[Any, Any]]:
    """A model's table of steps."""
    return {step.name: step for step in steps}
