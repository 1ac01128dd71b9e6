"""Rows of a head's output layer follow the names of their classes from one data-bin to another.

Two data-bins may order the same classes differently, or share some of them only: a row that keeps
its number would then answer for another class. Heads bear their task's name, and a checkpoint's
``task_state`` holds the classes of its task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

SHOWN = 3  # names in a report

Names = list[str]


@dataclass(frozen=True)
class ClassNames:
    """Head -> its classes in the order of its rows; a head without is not there.

    Attributes:
        own: of this run.
        saved: of the checkpoint that is loaded.
    """

    own: Mapping[str, Names] = field(default_factory=dict)
    saved: Mapping[str, Names] = field(default_factory=dict)


@dataclass(frozen=True)
class HeadTensors:
    """One head's tensors by name, in the order of its layers; the last layer has the classes' rows.

    Attributes:
        own: of the model.
        saved: of the checkpoint.
    """

    own: Mapping[str, Tensor]
    saved: Mapping[str, Tensor]

    @property
    def same_shapes(self) -> bool:
        return _shapes(self.own) == _shapes(self.saved)

    @property
    def differ_in_classes_alone(self) -> bool:
        """Whether all shapes agree but for the number of rows of the output layer."""
        rows = self.output_layer
        return _shapes(self.own, rows) == _shapes(self.saved, rows)

    @property
    def output_layer(self) -> list[str]:
        """Names of the tensors with a row a class."""
        layer = list(self.own)[-1].rpartition(".")[0]
        return [name for name in self.own if name.rpartition(".")[0] == layer]

    def named_by(self, own: Names | None, saved: Names | None) -> bool:
        """Whether these are the names of all rows on both sides."""
        if own is None or saved is None or self.own.keys() != self.saved.keys():
            return False
        counts = {(len(self.own[name]), len(self.saved[name])) for name in self.output_layer}
        return counts == {(len(own), len(saved))}

    def moved(self, own: Names, saved: Names) -> dict[str, Tensor]:
        """The checkpoint's tensors with rows in this run's order; new classes have fresh rows."""
        if own == saved:
            return dict(self.saved)
        places = {name: row for row, name in enumerate(saved)}
        taken = [row for row, name in enumerate(own) if name in places]
        sources = [places[own[row]] for row in taken]
        tensors = dict(self.saved)
        for name in self.output_layer:
            rows = self.own[name].detach().clone()
            rows[taken] = self.saved[name][sources].to(rows)
            tensors[name] = rows
        return tensors


def _shapes(tensors: Mapping[str, Tensor], rows: list[str] | None = None) -> dict[str, object]:
    """Shapes by name, of the tensors in ``rows`` without their number of rows."""
    return {name: value.shape[name in (rows or ()) :] for name, value in tensors.items()}


def in_words(own: Names, saved: Names) -> str:
    """``3 matched by name, 1 new ('green'), 2 left out ('grey', 'white')``."""
    ours, theirs = set(own), set(saved)
    new = [name for name in own if name not in theirs]
    gone = [name for name in saved if name not in ours]
    parts = [f"{len(own) - len(new)} matched by name"]
    for names, what in ((new, "new"), (gone, "left out")):
        if names:
            more = ", ..." if len(names) > SHOWN else ""
            shown = ", ".join(map(repr, names[:SHOWN]))
            parts.append(f"{len(names)} {what} ({shown}{more})")
    return ", ".join(parts)
