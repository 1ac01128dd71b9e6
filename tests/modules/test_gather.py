"""Rows of two real processes as one batch, and what their gradients come to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from mt_fairseq.modules.gather import JoinedBatch, gather_with_gradient

# samples of each process: equal shares, a shorter last batch, a process without data
SHARES = [(3, 3), (3, 1), (0, 2), (2, 0)]


def rows_of(share: tuple[int, ...], rank: int) -> slice:
    return slice(sum(share[:rank]), sum(share[: rank + 1]))


def whole(share: tuple[int, ...]) -> Tensor:
    return torch.arange(sum(share) * 4, dtype=torch.float64).view(-1, 2, 2) / 10


def ask(every: Tensor, rank: int) -> Tensor:
    """What a process computes of all rows; each another function."""
    return (every.sin() * (rank + 1)).sum() + every[rank].prod()


def work(rank: int, meeting: str, results: str) -> None:
    distributed.init_process_group("gloo", init_method=meeting, world_size=2, rank=rank)
    found = []
    for share in SHARES:
        own = whole(share)[rows_of(share, rank)].requires_grad_()
        every = gather_with_gradient(own)
        ask(every, rank).backward()
        found.append((every.detach(), own.grad, gather_with_gradient(own.detach() > 0.5)))
    # process 1 has no data, and computes on a longer text that must stay outside
    tokens = torch.full((2, 5 + rank), rank)
    batch = JoinedBatch.agree(tokens, enters=rank == 0)
    stand_in = torch.full((2, 3), float(rank), requires_grad=True)
    entered = batch.gather(stand_in)
    (entered.sum() * (rank + 1)).backward()
    numbers = batch.own_numbers(2, tokens.device)
    found.append((batch, entered.detach(), stand_in.grad, numbers))
    torch.save(found, f"{results}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[list]:
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(work, (f"file://{folder}/meeting", str(folder)), nprocs=2)
    return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.mark.parametrize("case", range(len(SHARES)), ids=[str(share) for share in SHARES])
def test_all_rows_in_order_and_the_gradient_of_the_sum(found: list[list], case: int) -> None:
    share = SHARES[case]
    rows = whole(share).requires_grad_()
    (ask(rows, 0) + ask(rows, 1)).backward()
    for rank in (0, 1):
        every, gradient, flags = found[rank][case]
        assert torch.equal(every, rows)
        assert torch.equal(flags, rows > 0.5)
        assert torch.allclose(gradient, rows.grad[rows_of(share, rank)], rtol=0, atol=1e-12)


def test_a_batch_that_stands_in_stays_outside(found: list[list]) -> None:
    for rank in (0, 1):
        batch, entered, gradient, numbers = found[rank][-1]
        assert batch.rows == (2, 0)
        assert batch.text_length == 6
        assert torch.equal(entered, torch.zeros(2, 3))
        assert torch.equal(gradient, torch.full((2, 3), 0.0 if rank else 3.0))
        assert numbers.tolist() == ([-1, -1] if rank else [0, 1])


def test_one_process_alone() -> None:
    tensor = torch.rand(3, 2, requires_grad=True)
    assert gather_with_gradient(tensor) is tensor
    batch = JoinedBatch.agree(torch.zeros(3, 7, dtype=torch.long))
    assert torch.equal(batch.gather(tensor), tensor)
    assert (batch.rows, batch.text_length, batch.own) == ((3,), 7, slice(0, 3))
