"""Random values in bulk on CPUs, where torch draws on one thread alone.

A tensor is filled in pieces. Every piece has a generator of its own, whose seed comes from torch's
generator: so values follow ``torch.manual_seed`` and a saved random state, whatever the number of
threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Generator, Tensor

PIECE = 1 << 18
"""Values of a piece: a millisecond of normal values, a hundred times what handing it over takes."""
LARGEST_SEED = 2**63 - 1

Fill = Callable[[Tensor, Generator], object]


def fill_in_pieces(out: Tensor, fill: Fill) -> Tensor:
    """``fill(piece, generator)`` for all pieces of a contiguous CPU tensor, on torch's threads."""
    pieces = out.view(-1).split(PIECE)
    seeds = torch.randint(LARGEST_SEED, (len(pieces),)).tolist()
    inference = out.is_inference()  # a mode of the thread, and other threads write here too

    def one(piece: Tensor, seed: int) -> None:
        with torch.inference_mode(inference):
            fill(piece, Generator().manual_seed(seed))

    threads = torch.get_num_threads()
    apply = _threads(threads).map if threads > 1 and len(pieces) > 1 else map
    for _ in apply(one, pieces, seeds):
        pass
    return out


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "draws")


os.register_at_fork(after_in_child=_threads.cache_clear)  # a fork has none of these threads


def normal_noise(shape: tuple[int, ...], like: Tensor, std: float) -> Tensor:
    """As ``plain.normal_noise``, drawn by all threads."""
    noise = torch.empty(shape, dtype=like.dtype)
    return fill_in_pieces(noise, lambda own, rng: own.normal_(std=std, generator=rng))
