"""Image-processor settings in transformers' format (preprocessor_config.json)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mt_fairseq.models.checkpoint import LoadedCheckpoint

BICUBIC = 3  # Pillow's number


def processor_settings(
    transform: str, size: tuple[int, int], mean: Sequence[float], std: Sequence[float]
) -> dict[str, Any]:
    """What evaluation does to a picture, as CLIP's image processor is told it.

    Args:
        transform: "square" (resized to exactly ``size``) or "center_crop" (shorter side, then cut).
        size: (height, width) in pixels.
        mean, std: of pixel values in [0, 1].
    """
    height, width = size
    box = {"height": height, "width": width}
    crop = transform == "center_crop"
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": max(size)} if crop else box,
        "resample": BICUBIC,
        "do_center_crop": crop,
        "crop_size": box,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [round(value, 8) for value in mean],
        "image_std": [round(value, 8) for value in std],
    }


def settings_of(checkpoint: LoadedCheckpoint) -> dict[str, Any]:
    """The settings of a loaded checkpoint's evaluation."""
    vision = checkpoint.model.network.vision_encoder
    mean, std = ((getattr(vision, name).flatten() / 255).tolist() for name in ("mean", "std"))
    task = checkpoint.task
    return processor_settings(task.eval_transform_kind, task.resolution, mean, std)
