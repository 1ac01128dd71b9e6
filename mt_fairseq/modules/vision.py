"""The vision encoder: a thin adapter over transformers' vision transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mt_fairseq.errors import UserError
from mt_fairseq.kernels import ACTIVATIONS
from mt_fairseq.modules.feed_forward import FeedForward
from mt_fairseq.modules.hf import CLIPVisionConfig, CLIPVisionModel, ViTConfig, ViTModel
from mt_fairseq.modules.positions import resize_positions

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def patch_grid(image_size: Sequence[int], patch: int) -> tuple[int, int]:
    """Rows and columns of patches; UserError where the patch does not divide the image."""
    height, width = image_size
    if height % patch or width % patch or height < patch or width < patch:
        raise UserError(
            f"--image-size {height}x{width}: both sides must be multiples of the vision encoder's "
            f"patch size {patch}, for example {max(height // patch, 1) * patch}x"
            f"{max(width // patch, 1) * patch}"
        )
    return height // patch, width // patch


class VisionEncoder(nn.Module):
    """Patches, class token, positions, pre-norm blocks; every layer that leaves is normed.

    All layers that leave go through the *same* final norm, while the next block continues from
    the stream without it (what METER's fusion, BridgeTower and ManagerTower do).

    Args:
        patches: the convolution that makes patches, (M, 3, H, W) -> (M, W', rows, columns).
        class_embedding: (W',).
        positions: (1 + rows * columns, W'), already in the size of ``image_size``.
        pre_norm: applied before the first block.
        blocks: the transformer's layers.
        final_norm: the norm of the layers that leave.
        image_size: height and width of the images in pixels.
        mean, std: of the pixel values in [0, 1], for uint8 images.
        heads: attention heads of a block.
        decays_norms: the reference's weight decay takes the norms of CLIP in (by their names).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        patches: nn.Conv2d,
        class_embedding: Tensor,
        positions: Tensor,
        pre_norm: nn.Module,
        blocks: Iterable[nn.Module],
        final_norm: nn.Module,
        image_size: tuple[int, int],
        heads: int,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        decays_norms: bool = True,
    ) -> None:
        super().__init__()
        self.image_size = tuple(image_size)
        self.heads = heads
        self.decays_norms = decays_norms
        self.patches = patches
        self.class_embedding = nn.Parameter(class_embedding.detach().clone())
        self.positions = nn.Parameter(positions.detach().clone())
        self.pre_norm = pre_norm
        self.blocks = nn.ModuleList(blocks)
        self.final_norm = final_norm
        self._pixels = {"mean": tuple(mean), "std": tuple(std)}
        for name in self._pixels:
            self.register_buffer(name, None, persistent=False)
        self._set_pixel_constants(class_embedding.device)

    def _set_pixel_constants(self, device: torch.device) -> None:
        for name, values in self._pixels.items():
            setattr(self, name, torch.tensor(values, device=device)[:, None, None] * 255)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> VisionEncoder:
        """Move and cast as usual, but keep the pixels' constants exact, in float32."""
        super()._apply(fn, recurse)
        self._set_pixel_constants(self.mean.device)
        return self

    @property
    def width(self) -> int:
        """Channels of the states."""
        return self.class_embedding.shape[0]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return patch_grid(self.image_size, int(self.patches.kernel_size[0]))

    def forward(self, images: Tensor, num_layers: int) -> list[Tensor]:
        """Images (M, 3, H, W) -> the top ``num_layers`` layers, each (M, P, W'), normed.

        uint8 images are normalised here, on the device; floats are taken as normalised.
        """
        x = self.embed(images)
        first = len(self.blocks) - num_layers
        layers = []
        for number, block in enumerate(self.blocks):
            x = block(x, attention_mask=None)
            if number >= first:
                layers.append(self.final_norm(x))
        return layers

    def embed(self, images: Tensor) -> Tensor:
        """Images (M, 3, H, W) -> (M, P, W'): what the first block reads."""
        if tuple(images.shape[-2:]) != self.image_size:
            raise UserError(
                f"images of {images.shape[-2]}x{images.shape[-1]} pixels for a model of "
                f"{self.image_size[0]}x{self.image_size[1]}: set --image-size to one of them"
            )
        weight = self.patches.weight
        if images.dtype == torch.uint8:
            # float32 throughout, whatever the weights' type: bfloat16 has 8 bits for 255 levels
            images = (images.float() - self.mean) / self.std
        patches = self.patches(images.to(weight.dtype)).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(patches), 1, -1)
        return self.pre_norm(torch.cat([token, patches], dim=1) + self.positions)


def build_clip_vision(
    config: CLIPVisionConfig,
    image_size: tuple[int, int],
    model: CLIPVisionModel | None = None,
    **pixels: Any,
) -> VisionEncoder:
    """CLIP's vision tower with the weights of ``model``, or random ones without it.

    ``pixels``: ``mean`` and ``std`` of the pixel values; CLIP's own unless given.
    """
    grid = patch_grid(image_size, int(config.patch_size))  # type: ignore[arg-type]
    table = None if model is None else model.embeddings.position_embedding.weight
    model = CLIPVisionModel(config) if model is None else model
    return VisionEncoder(
        patches=model.embeddings.patch_embedding,
        class_embedding=model.embeddings.class_embedding,
        positions=_position_table(table, grid, config),
        pre_norm=model.pre_layrnorm,
        blocks=_with_lean_feed_forward(model.encoder.layers, config),
        final_norm=model.post_layernorm,
        image_size=image_size,
        heads=config.num_attention_heads,
        **pixels,
    )


def build_vit(
    config: ViTConfig,
    image_size: tuple[int, int],
    model: ViTModel | None = None,
    **pixels: Any,
) -> VisionEncoder:
    """A ViT or (without distillation token) a DeiT; as ``build_clip_vision``.

    It has no norm before the first block, and the reference's weight decay leaves its norms out.
    """
    grid = patch_grid(image_size, int(config.patch_size))  # type: ignore[arg-type]
    table = None if model is None else model.embeddings.position_embeddings[0]
    model = ViTModel(config, add_pooling_layer=False) if model is None else model
    return VisionEncoder(
        patches=model.embeddings.patch_embeddings.projection,
        class_embedding=model.embeddings.cls_token[0, 0],
        positions=_position_table(table, grid, config),
        pre_norm=nn.Identity(),
        blocks=_with_lean_feed_forward(model.layers, config),
        final_norm=model.layernorm,
        image_size=image_size,
        heads=config.num_attention_heads,
        decays_norms=False,
        **pixels,
    )


def _with_lean_feed_forward(blocks: Iterable[nn.Module], config: Any) -> Iterable[nn.Module]:
    """Feed-forward parts that keep less for the backward pass; names and results stay."""
    if config.hidden_act in ACTIVATIONS:
        for block in blocks:
            mlp: Any = block.mlp
            block.mlp = FeedForward(mlp.fc1, mlp.fc2, config.hidden_act)
    return blocks


def _position_table(table: Tensor | None, grid: tuple[int, int], config: Any) -> Tensor:
    """A trained table resized to ``grid``, or a fresh one (resizing would shrink its spread)."""
    if table is not None:
        return resize_positions(table.detach(), grid)
    return torch.randn(1 + grid[0] * grid[1], config.hidden_size) * config.initializer_range
