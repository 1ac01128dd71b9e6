"""Losses, momentum, queues and updates against a plain implementation, by one process and by two.

Shares are uneven, the queue (6) holds no whole number of the batches (3, 5) and goes round, and in
the last step one of the two processes has no data.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.albef.plain import Plain
from tests.albef.two_processes import (
    ALIGNED,
    EPOCH,
    HEADS,
    SHARES,
    STEPS,
    criterion,
    descend,
    fresh,
    share,
)
from tests.support import ROOT, environment

LOSS_BOUND = 5e-6  # relative
BOUND = 2e-6


def plainly(kind: str, steps: Sequence[Sequence[int]]) -> tuple[Plain, list[list[float]]]:
    """Train in one process; ``steps`` says whose shares each has. Gives each share's losses."""
    model = fresh(kind)
    plain = Plain(model, EPOCH)
    losses = []
    for step, ranks in enumerate(steps):
        plain.begin(step)
        samples = [share(kind, step, rank) for rank in ranks]
        parts = [plain.loss(kind, sample) for sample in samples]
        losses.append([float(part.detach()) for part in parts])
        if kind in ALIGNED:
            plain.enqueue(samples)
        if step < STEPS:
            torch.stack(parts).sum().backward()
            descend(model, sum(SHARES[rank] for rank in ranks))
    return plain, losses


def check(found: dict[str, torch.Tensor], plain: Plain) -> None:
    """Weights of model and teacher, the queue's rows, their numbers and the pointer."""
    expected = {
        name: value
        for name, value in plain.model.state_dict().items()
        if not name.startswith(("twin.", "queue."))
    }
    if plain.teacher is not None:
        expected |= {f"twin.{name}": v for name, v in plain.teacher.state_dict().items()}
    if plain.rows:
        images, texts, numbers = zip(*plain.rows, strict=True)
        expected |= {
            "queue.images": torch.stack(images),
            "queue.texts": torch.stack(texts),
            "queue.ids": torch.tensor(numbers),
            "queue.pointer": torch.tensor(plain.pointer),
        }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=0, atol=BOUND), name


@pytest.mark.parametrize("kind", HEADS)
def test_one_process(kind: str) -> None:
    plain, expected = plainly(kind, [[0]] * STEPS)
    model, objective = fresh(kind), criterion(kind)
    for step in range(STEPS):
        model.set_num_updates(step)
        loss, size, _ = objective(model, share(kind, step, 0))
        assert float(loss.detach()) == pytest.approx(expected[step][0], rel=LOSS_BOUND)
        loss.backward()
        descend(model, size)
    check(model.state_dict(), plain)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes that train together leave, a file a kind and process."""
    file = tmp_path_factory.mktemp("together") / "state"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.albef.two_processes", str(rank), str(file)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
            env=environment(),
        )
        for rank in (0, 1)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=900)[0] for process in processes]
    assert not any(process.returncode for process in processes), "\n".join(outputs)
    return file


@pytest.mark.parametrize("kind", HEADS)
def test_two_processes(kind: str, found: Path) -> None:
    last = [[0]] if kind in ALIGNED else []
    plain, expected = plainly(kind, [[0, 1]] * STEPS + last)
    for rank in (0, 1):
        one = torch.load(f"{found}.{kind}.{rank}", weights_only=True)
        theirs = [losses[rank] for losses in expected[:STEPS]]
        assert one["losses"] == pytest.approx(theirs, rel=LOSS_BOUND)
        check(one["model"], plain)
