"""Draws in pieces: the same from the same seed with any number of threads, independent, all."""

from __future__ import annotations

import multiprocessing

import pytest
import torch
from torch import Generator, Tensor

from mt_fairseq.kernels.cpu import draws
from mt_fairseq.kernels.cpu.draws import fill_in_pieces

COUNT = 20


def normal(own: Tensor, generator: Generator) -> Tensor:
    return own.normal_(generator=generator)


@pytest.fixture(autouse=True)
def _pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "PIECE", 1000)


def drawn(seed: int, threads: int) -> Tensor:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    try:
        return fill_in_pieces(torch.empty(COUNT, 1000).fill_(torch.nan), normal)
    finally:
        torch.set_num_threads(before)


def test_threads_change_nothing() -> None:
    assert torch.equal(drawn(0, 1), drawn(0, 3))
    assert not torch.equal(drawn(0, 1), drawn(1, 1))


def test_pieces_are_independent() -> None:
    values = drawn(0, 2)
    assert values.std().item() == pytest.approx(1, abs=0.02)
    between = torch.corrcoef(values) - torch.eye(COUNT)
    assert between.abs().max() < 5 / 1000**0.5


def test_a_draw_follows_the_one_before() -> None:
    torch.manual_seed(0)
    first = fill_in_pieces(torch.empty(3000), normal)
    state = torch.get_rng_state()
    second = fill_in_pieces(torch.empty(3000), normal)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(fill_in_pieces(torch.empty(3000), normal), second)


@pytest.mark.parametrize("shape", [(0,), (), (3, 999), (2, 500)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    values = fill_in_pieces(torch.full(shape, torch.nan), normal)
    assert values.shape == shape
    assert not values.isnan().any()


def test_in_inference_mode() -> None:
    drawn(0, 2)  # so that the threads are there, outside of the mode
    with torch.inference_mode():
        assert not drawn(0, 2).isnan().any()


def _in_fork(results: multiprocessing.Queue[float]) -> None:
    results.put(drawn(0, 2).sum().item())


def test_in_a_forked_process() -> None:
    expected = drawn(0, 2).sum().item()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_in_fork, args=(results,), daemon=True)
    process.start()
    assert results.get(timeout=60) == expected
    process.join()
