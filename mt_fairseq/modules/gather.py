"""Rows of all processes as one batch, with gradients.

Contrastive losses compare a sample with those of every process. Processes may bring different
numbers of rows, or none (a short last batch, a process without data): numbers are exchanged first,
so that nothing but real rows enters. Every process must make the same calls in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


def is_distributed() -> bool:
    """Whether several processes train together."""
    return distributed.is_available() and distributed.is_initialized()


def gather_with_gradient(
    tensor: Tensor, group: Any = None, rows: Sequence[int] | None = None
) -> Tensor:
    """The rows (n, ...) of all processes, in the order of their ranks: (sum of all n, ...).

    A row's gradient is the sum of what all processes ask of it. One process alone gets its tensor
    back.

    Args:
        tensor: (n, ...), with the same sizes behind n in every process; n may be 0.
        group: processes that take part; all by default.
        rows: n of each process where it is known, else it is exchanged first.
    """
    if not is_distributed():
        return tensor
    counts = exchange([len(tensor)], tensor.device, group)[:, 0].tolist() if rows is None else rows
    if tensor.dtype == torch.bool:
        return _GatherRows.apply(tensor.byte(), tuple(counts), group).bool()
    return _GatherRows.apply(tensor, tuple(counts), group)


def exchange(numbers: Sequence[int], device: torch.device, group: Any = None) -> Tensor:
    """What every process says, (processes, len(numbers)) int64."""
    own = torch.tensor(numbers, device=device)
    every = [torch.empty_like(own) for _ in range(distributed.get_world_size(group))]
    distributed.all_gather(every, own, group=group)
    return torch.stack(every)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, rows: tuple[int, ...], group: Any) -> Tensor:
        rank = distributed.get_rank(group)
        start = sum(rows[:rank])
        ctx.own, ctx.group = slice(start, start + rows[rank]), group
        longest = max(rows)
        if rows[rank] < longest:
            padded = tensor.new_zeros(longest, *tensor.shape[1:])
            padded[: rows[rank]] = tensor
        else:
            padded = tensor.contiguous()
        every = [torch.empty_like(padded) for _ in rows]
        distributed.all_gather(every, padded, group=group)
        return torch.cat([part[:n] for part, n in zip(every, rows, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total, group=ctx.group)
        return total[ctx.own], None, None


@dataclass(frozen=True)
class JoinedBatch:
    """The batch that all processes make up together, and this one's place in it.

    Attributes:
        rows: samples of each process; 0 for one without data.
        rank: this process.
        text_length: longest text T of all processes.
        group: the processes.
    """

    rows: tuple[int, ...]
    rank: int
    text_length: int
    group: Any = None

    @classmethod
    def agree(cls, tokens: Tensor, enters: bool = True, group: Any = None) -> JoinedBatch:
        """Meet the other processes; ``tokens`` (B, T) is this one's share.

        With ``enters`` False the share only stands in for data that this process lacks: its rows
        stay outside, yet it takes part in every call that follows.
        """
        own = [len(tokens) if enters else 0, tokens.shape[1]]
        if not is_distributed():
            return cls((own[0],), 0, own[1])
        every = exchange(own, tokens.device, group).tolist()
        rank = distributed.get_rank(group)
        return cls(tuple(n for n, _ in every), rank, max(length for _, length in every), group)

    def gather(self, tensor: Tensor) -> Tensor:
        """Rows (B, ...) of this process -> those of all, (M, ...), with gradients."""
        return gather_with_gradient(tensor[: self.rows[self.rank]], self.group, self.rows)

    @property
    def own(self) -> slice:
        """This process's rows of the whole."""
        start = sum(self.rows[: self.rank])
        return slice(start, start + self.rows[self.rank])

    def numbers(self, device: torch.device) -> Tensor:
        """(M,) a number for each row of the whole."""
        return torch.arange(sum(self.rows), device=device)

    def own_numbers(self, count: int, device: torch.device) -> Tensor:
        """(B,) the numbers of this process's ``count`` samples; -1 where they stay outside."""
        if not self.rows[self.rank]:
            return torch.full((count,), -1, device=device)
        return torch.arange(count, device=device) + self.own.start
