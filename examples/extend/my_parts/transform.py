"""An image transform of one's own: ``--train-transform letterbox``."""

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from mt_fairseq.data.resample import to_tensor
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.registries import register_transform


@register_transform("letterbox")
class Letterbox(Transform):
    """The whole image in its own proportions, black at the sides."""

    def __init__(self, size: tuple[int, int], color_ops: bool = False, flip: bool = False) -> None:
        if color_ops or flip:
            raise UserError("letterbox: --color-ops and --flip belong to augment")
        super().__init__(size, min_side=min(size))

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Tensor:
        """RGB of any size -> (3, H, W) uint8."""
        height, width = self.size
        return to_tensor(ImageOps.pad(image, (width, height)))
