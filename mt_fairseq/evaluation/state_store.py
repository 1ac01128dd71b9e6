"""Encoded texts and images that stay in memory, without padding, for fusion only."""

from __future__ import annotations

import torch
from torch import Tensor

from mt_fairseq.modules.outputs import ImageStates, TextStates


def fused(states: TextStates | ImageStates) -> list[Tensor]:
    """The tensors that fusion reads: the experts, or the last layer where there are none."""
    return states.experts or [states.last]


def nbytes(tensors: list[Tensor]) -> int:
    """Bytes that tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class ImageStore:
    """States of images 0 to ``count - 1``."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.parts: list[Tensor] = []
        self.has_experts = True

    def put(self, begin: int, states: ImageStates) -> None:
        """Copy a batch whose first image has the number ``begin``."""
        parts = fused(states)
        if not self.parts:
            self.has_experts = bool(states.experts)
            self.parts = [part.new_empty((self.count, *part.shape[1:])) for part in parts]
        for mine, theirs in zip(self.parts, parts, strict=True):
            mine[begin : begin + len(theirs)] = theirs

    def one(self, number: int) -> ImageStates:
        """States (1, P, .) of one image, without a copy."""
        parts = [part[number : number + 1] for part in self.parts]
        return ImageStates(parts if self.has_experts else [], parts[-1])


class TextStore:
    """States of texts from the number ``begin`` on, position after position.

    Args:
        begin: number of the first text.
        lengths: (n,) positions of each text that are kept.
    """

    def __init__(self, begin: int, lengths: Tensor) -> None:
        self.begin = begin
        self.lengths = lengths
        self.starts = lengths.cumsum(0) - lengths
        self.parts: list[Tensor] = []
        self.mask = torch.zeros(int(lengths.sum()), dtype=torch.bool, device=lengths.device)
        self.has_experts = True

    @property
    def nbytes(self) -> int:
        """Bytes of the states."""
        return nbytes(self.parts)

    def put(self, begin: int, states: TextStates) -> None:
        """Copy a group whose first text has the number ``begin``."""
        parts = fused(states)
        if not self.parts:
            self.has_experts = bool(states.experts)
            self.parts = [part.new_empty((len(self.mask), part.shape[-1])) for part in parts]
        rows = slice(begin - self.begin, begin - self.begin + len(states.mask))
        lengths = self.lengths[rows]
        kept = torch.arange(states.mask.shape[1], device=lengths.device) < lengths[:, None]
        first = int(self.starts[rows][0])
        places = slice(first, first + int(lengths.sum()))
        for mine, theirs in zip(self.parts, parts, strict=True):
            mine[places] = theirs[kept]
        self.mask[places] = states.mask[kept]

    def select(self, texts: Tensor) -> TextStates:
        """States of the texts numbered ``texts`` (n,), padded to the longest of them."""
        lengths = self.lengths[texts - self.begin]
        steps = torch.arange(int(lengths.max()), device=lengths.device)
        real = steps < lengths[:, None]
        # padding repeats the text's last position: finite numbers, and masked everywhere
        steps = torch.minimum(steps, lengths[:, None] - 1)
        places = self.starts[texts - self.begin][:, None] + steps
        parts = [part[places] for part in self.parts]
        mask = self.mask[places] & real
        return TextStates(parts if self.has_experts else [], parts[-1], mask)
