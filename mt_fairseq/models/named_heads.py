"""A model's heads by name: what a task asks for, and what kinds of heads there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from mt_fairseq.errors import UserError


class HeadSpec(NamedTuple):
    """A head that a task needs.

    Attributes:
        classes: its outputs (0: the model's configuration says).
        kind: registered kind of head; "" where that is the head's own name.
    """

    classes: int
    kind: str = ""


@dataclass(frozen=True)
class HeadKind:
    """A kind of head of one family of models.

    Attributes:
        build: (configuration, network, classes, **options) -> module.
        images: images that a sample has.
        starts_anew: whether it belongs to fine-tuning, not to pre-training.
        momentum: whether ALBEF's momentum model has one too, whose answers it learns from.
    """

    build: Callable[..., nn.Module]
    images: int = 1
    starts_anew: bool = False
    momentum: bool = False


class NamedHeads(nn.ModuleDict):
    """As its base, with a UserError for a head that the model lacks.

    Attributes:
        kinds: the kind of each head.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, HeadKind] = {}

    def add(self, name: str, kind: HeadKind, head: nn.Module) -> None:
        """UserError if the name is taken."""
        if name in self:
            raise UserError(f"the model already has a head {name!r}")
        self[name] = head
        self.kinds[name] = kind

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self.kinds[key]

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise UserError(
                f"the model has no head {key!r}, it has {', '.join(self) or 'none'}: was its "
                "checkpoint trained for this task?"
            )
        return super().__getitem__(key)
