"""Resizing a vision encoder's table of position embeddings."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F


def resize_positions(
    table: Tensor, grid: tuple[int, int], old_grid: tuple[int, int] | None = None
) -> Tensor:
    """Resize the grid part of a position table, bicubic, without antialiasing.

    Args:
        table: (1 + h * w, D), or with a leading axis of 1, which is kept. Row 0 belongs to the
            class token and stays; the others are a grid, row by row.
        grid: rows and columns of the new grid.
        old_grid: rows and columns of the old one; a square if not given.

    Returns:
        (1 + rows * columns, D); the input itself where the size is already right.
    """
    rows = table.shape[-2] - 1
    if old_grid is None:
        side = math.isqrt(rows)
        old_grid = (side, side)
    if old_grid[0] * old_grid[1] != rows:
        raise ValueError(f"a position table of {rows} grid rows is no {old_grid} grid")
    if old_grid == tuple(grid):
        return table
    flat = table.reshape(rows + 1, -1)
    image = flat[1:].T.reshape(1, -1, *old_grid).float()
    image = F.interpolate(image, size=tuple(grid), mode="bicubic", align_corners=False)
    resized = flat.new_empty(1 + grid[0] * grid[1], flat.shape[1])
    resized[0] = flat[0]
    resized[1:] = image.flatten(2)[0].T
    return resized.reshape(*table.shape[:-2], *resized.shape)
