from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mt_fairseq.modules.positions import resize_positions


def test_agrees_with_the_reference(shared_dir: Path) -> None:
    tensors = load_file(shared_dir / "golden" / "position_interpolation.safetensors")
    names = [name.removesuffix(".input") for name in tensors if name.endswith(".input")]
    assert len(names) >= 3
    for name in names:
        after = int(name.split("to")[-1])
        resized = resize_positions(tensors[f"{name}.input"], (after, after))
        assert resized.shape == tensors[f"{name}.output"].shape
        assert (resized - tensors[f"{name}.output"]).abs().max() < 1e-5


def test_equal_size_is_the_input_itself() -> None:
    table = torch.randn(10, 4)
    assert resize_positions(table, (3, 3)) is table


def test_rectangles_and_the_class_row() -> None:
    table = torch.randn(1 + 2 * 3, 4)
    resized = resize_positions(table, (4, 5), (2, 3))
    assert resized.shape == (21, 4)
    assert torch.equal(resized[0], table[0])
    flat = resize_positions(torch.ones(7, 4), (4, 5), (2, 3))
    assert torch.allclose(flat, torch.ones(21, 4))


def test_a_table_that_is_no_grid() -> None:
    with pytest.raises(ValueError, match=r"no .* grid"):
        resize_positions(torch.randn(8, 4), (3, 3))
