"""Momentum, queues and gathering in two processes against the same worked out in one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from tests.albef.small import SIZES
from tests.albef.two_processes import SHARES, STEPS, descend, fresh, loss_of, share
from tests.support import ROOT, environment

Q = SIZES["queue_size"]


def plainly(step: int, model: torch.nn.Module, shares: range) -> None:
    """Both shares one after the other, each compared with the queue as it was before either."""
    model.set_num_updates(step)
    before = {name: value.clone() for name, value in model.queue.state_dict().items()}
    images, texts = [], []
    for rank in shares:
        model.queue.load_state_dict(before)
        loss_of(model, share(step, rank)).backward()
        start, count = int(before["pointer"]), SHARES[rank]
        rows = [(start + number) % Q for number in range(count)]
        images.append(model.queue.images[rows])
        texts.append(model.queue.texts[rows])
    model.queue.load_state_dict(before)
    for number, (image, text) in enumerate(zip(torch.cat(images), torch.cat(texts), strict=True)):
        row = (int(before["pointer"]) + number) % Q
        model.queue.images[row], model.queue.texts[row] = image, text
    model.queue.pointer.fill_((int(before["pointer"]) + number + 1) % Q)


def test_two_processes(tmp_path: Path) -> None:
    file = tmp_path / "state"
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
    model = fresh()
    for step in range(STEPS):
        plainly(step, model, range(2))
        descend(model)
    plainly(STEPS, model, range(1))
    expected = model.state_dict()
    for rank in (0, 1):
        found = torch.load(f"{file}.{rank}", weights_only=True)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.allclose(found[name], value, rtol=0, atol=2e-6), (rank, name)
