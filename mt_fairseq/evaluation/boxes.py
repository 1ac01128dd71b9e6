"""From a heat map to one of the proposed boxes, and whether that is right.

Boxes are (x, y, width, height) in pixels of the image, as in RefCOCO.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.errors import UserError

Box = Sequence[float]
AREA_POWER = 0.5
RIGHT_IOU = 0.5


def box_scores(heat: Tensor, boxes: Sequence[Box], width: int, height: int) -> list[float]:
    """Heat inside each box over the square root of its area.

    Args:
        heat: (rows, columns) of any size; enlarged to the image, bicubic.
        boxes: proposals.
        width, height: of the image in pixels.

    Raises:
        UserError: no proposal, or one that shares no pixel with the image.
    """
    if not boxes:
        raise UserError("no box is proposed")
    large = F.interpolate(
        heat[None, None].float(), size=(height, width), mode="bicubic", align_corners=False
    )[0, 0]
    scores = []
    for x, y, w, h in boxes:
        inside = large[max(0, int(y)) : max(0, int(y + h)), max(0, int(x)) : max(0, int(x + w))]
        if not inside.numel():
            raise UserError(
                f"the proposed box {x:g}, {y:g}, {w:g} x {h:g} lies outside the image of "
                f"{width} x {height} pixels: were the proposals made for another picture?"
            )
        scores.append(float(inside.sum()) / (w * h) ** AREA_POWER)
    return scores


def best_box(scores: Sequence[float]) -> int:
    """The proposal with the highest score, the first of equal ones.

    (Where no score is positive, the reference keeps the previous sample's box.)
    """
    return int(torch.tensor(scores, dtype=torch.float64).argmax())


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, corners counted as pixels: a box from x with w reaches x + w - 1."""
    left, upper = max(one[0], other[0]), max(one[1], other[1])
    right = min(one[0] + one[2] - 1, other[0] + other[2] - 1)
    lower = min(one[1] + one[3] - 1, other[1] + other[3] - 1)
    if left >= right or upper >= lower:
        return 0.0
    shared = (right - left + 1) * (lower - upper + 1)
    return float(shared / (one[2] * one[3] + other[2] * other[3] - shared))
