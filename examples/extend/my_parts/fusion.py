"""A cross-modal layer of one's own: ``--fusion text-first``."""

from torch import Tensor

from mt_fairseq.modules.attention import key_mask
from mt_fairseq.modules.cross_modal import CoAttentionLayer
from mt_fairseq.registries import register_fusion


@register_fusion("text-first")
class TextFirstLayer(CoAttentionLayer):
    """Co-attention in turn: the image reads what the text has just become."""

    def forward(
        self,
        text: Tensor,
        image: Tensor,
        text_mask: Tensor,
        need_image: bool = True,
        first_only: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), (B, P, D), (B, T) boolean -> the same shapes, or position 0 of each alone."""
        mask = key_mask(text_mask)
        new_text = self.text(text, image, mask, None, first_only=first_only and not need_image)
        new_image = None
        if need_image:
            new_image = self.image(image, new_text, None, mask, first_only=first_only)
        return (new_text[:, :1] if first_only else new_text), new_image
