"""``--compile``: the network's three parts through torch.compile, names of parameters unchanged."""

from __future__ import annotations

import logging
import shutil
from collections import Counter

import torch
from torch import nn

from mt_fairseq.errors import UserError
from mt_fairseq.modules.two_tower import TwoTower

logger = logging.getLogger(__name__)
COMPILERS = ("c++", "g++", "clang++")
SHOWN = 3


def check_compiler() -> None:
    """UserError where torch.compile has nothing to make code for a CPU with."""
    if not torch.cuda.is_available() and not any(map(shutil.which, COMPILERS)):
        raise UserError("--compile: a C++ compiler is needed (none of c++, g++, clang++ is found)")


def compile_parts(network: TwoTower, backend: str = "inductor") -> None:
    """Compile encoders and cross-modal encoder in place, each at its first call.

    A second length of texts compiles once more, then for any length. ``backend`` is one of
    torch.compile's.
    """
    parts: tuple[nn.Module, ...] = (
        network.vision_encoder,
        network.text_encoder,
        network.cross_modal,
    )
    for part in parts:
        part.compile(backend=backend)


def graph_breaks() -> Counter[str]:
    """Reasons why graphs ended early in this process so far, and how often each."""
    from torch._dynamo.utils import counters

    return Counter(counters["graph_break"])


def unique_graphs() -> int:
    """Graphs compiled in this process so far."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def log_compilation() -> None:
    """One line: graphs, graph breaks and the most frequent reasons."""
    breaks = graph_breaks()
    reasons = "".join(
        f"; {count} x {reason.splitlines()[0]}" for reason, count in breaks.most_common(SHOWN)
    )
    logger.info(f"torch.compile: {unique_graphs()} graphs, {breaks.total()} graph breaks{reasons}")
