"""ALBEF (Li et al., NeurIPS 2021): align before fuse, with a momentum model as teacher."""

from __future__ import annotations

import json
import logging
from typing import Any

import torch
from fairseq.models import register_model
from omegaconf import DictConfig
from torch import Tensor, nn

from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.config import (
    AlbefConfig,
    AlbefTinyConfig,
    check_albef,
    check_queue,
)
from mt_fairseq.models.albef.heads import HEAD_KINDS, start_mlm_head
from mt_fairseq.models.albef.loading import reconcile_albef
from mt_fairseq.models.albef.steps import STEPS, distilled_logits
from mt_fairseq.models.encoders import build_text, build_vision
from mt_fairseq.models.param_groups import BASE, HEAD, tag_parameters
from mt_fairseq.models.presets import VIT
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.albef.fusion import FusionEncoder, take_bert_layer
from mt_fairseq.modules.albef.network import AlbefNetwork
from mt_fairseq.modules.albef.outputs import DistilledOutput
from mt_fairseq.modules.albef.ranking import rank_answers
from mt_fairseq.modules.heads import init_weights
from mt_fairseq.modules.momentum import FeatureQueue, MomentumTwin
from mt_fairseq.modules.outputs import ImageStates, TextStates
from mt_fairseq.modules.text import TextEncoder
from mt_fairseq.modules.vision import CLIP_MEAN, CLIP_STD

logger = logging.getLogger(__name__)

VIT_NORM_EPS = 1e-6  # timm's, whatever a transformers configuration says


class AlbefModel(TwoTowerModel):
    """A network with heads, and in training its momentum twin and feature queues."""

    network: AlbefNetwork  # type: ignore[assignment]

    def __init__(self, cfg: DictConfig, network: AlbefNetwork) -> None:
        super().__init__(cfg, network)  # type: ignore[arg-type]
        self.twin: MomentumTwin | None = None
        self.queue: FeatureQueue | None = None
        self.num_updates = 0
        self.updates_per_epoch = 0
        self._followed: int | None = None

    # --- building ---

    @classmethod
    def build_model(cls, cfg: DictConfig, task: Any) -> AlbefModel:
        """As the other models; with a momentum model where distillation or ITC asks for one."""
        fresh = not cfg.vision_config and not getattr(task, "restores_checkpoint", False)
        model = super().build_model(cfg, task)
        assert isinstance(model, AlbefModel)
        if fresh and str(cfg.encoder_weights) == "pretrained":
            start_mlm_head(model.heads, cfg)
        if cfg.no_end_token:
            model.network.end = task.source_dictionary.eos()
        contrasts = "itc" in model.heads
        if getattr(task, "momentum_model", True) and (cfg.distill_alpha > 0 or contrasts):
            if contrasts and not getattr(task, "evaluates", False):  # else nothing is enqueued
                check_queue(cfg)
            model.add_twin()
        return model

    @classmethod
    def check(cls, cfg: DictConfig) -> None:
        check_albef(cfg)

    @classmethod
    def build_network(  # type: ignore[override]
        cls, cfg: DictConfig, image_size: tuple[int, int], read_weights: bool = False
    ) -> AlbefNetwork:
        """The network of a configuration with resolved encoders."""
        text = build_text(cfg, read_weights)
        values = json.loads(cfg.vision_config)
        if values["model_type"] == VIT:  # the paper normalises pixels as CLIP does
            values |= {"image_mean": CLIP_MEAN, "image_std": CLIP_STD}
            cfg.vision_config = json.dumps(values, sort_keys=True)
        vision = build_vision(cfg, image_size, read_weights)
        if values["model_type"] == VIT:
            for module in vision.modules():
                if isinstance(module, nn.LayerNorm):
                    module.eps = VIT_NORM_EPS
        lower, upper = text.layers[: cfg.fusion_layer], text.layers[cfg.fusion_layer :]
        config = json.loads(cfg.text_config)
        fusion = FusionEncoder(
            len(upper),
            width=text.width,
            heads=text.heads,
            dropout=cfg.dropout,
            attention_dropout=cfg.attention_dropout,
            eps=config["layer_norm_eps"],
            inner=config["intermediate_size"],
            other_width=vision.width,
        )
        fusion.apply(init_weights)
        for block, layer in zip(fusion.layers, upper, strict=True):
            take_bert_layer(block, layer)
        encoder = TextEncoder(
            text.embeddings, lower, text.width, text.heads, text.pad, text.max_length
        )
        return AlbefNetwork(encoder, vision, fusion, text.heads)

    def tag_parameters(self) -> None:
        """Classes have --head-lr-multiplier, 1 unless said; biases and norms do not decay."""
        tag_parameters(self, BASE)
        for name, kind in self.heads.kinds.items():
            if kind.starts_anew:
                tag_parameters(self.heads[name], HEAD)

    def register_classification_head(
        self, name: str, num_classes: int, kind: str = "", **options: Any
    ) -> None:
        """Add a head of a registered ``kind`` (by default that of its name: itc, itm, mlm ...).

        ``num_classes`` is the vocabulary for mlm and answers; itc is as wide as ``--embed-dim``
        whatever it says. Heads for pairs of images double the fusion layers.
        """
        found = HEAD_KINDS[kind or name]
        if found.images > 1:
            self.network.fusion.add_partners()
        self.heads.add(name, found, found.build(self.cfg, self.network, num_classes, **options))
        self.tag_parameters()

    def add_twin(self) -> None:
        """Give the model its momentum twin and, with contrastive features, its queue."""
        taught = {
            name: self.heads[name] for name, kind in self.heads.kinds.items() if kind.momentum
        }
        self.twin = MomentumTwin(self.network, nn.ModuleDict(taught))
        if "itc" in taught:
            # the model's own temperature is used
            self.twin.heads["itc"].register_parameter("temperature", None)
            self.queue = FeatureQueue(self.cfg.queue_size, self.cfg.embed_dim)

    # --- running ---

    def forward(
        self,
        src_tokens: Tensor,
        images: Tensor,
        *,
        return_all: bool = False,
        classification_head_name: str | None = None,
        step: str | None = None,
        **inputs: Any,
    ) -> Any:
        """Fuse texts with images: a DistilledOutput; with ``step``, one training step instead.

        Args:
            src_tokens: (B, T) ids, right-padded.
            images: (B, K, 3, H, W) or (B, 3, H, W); K = 2 for pairs of images.
            return_all: also give every fusion layer's states.
            classification_head_name: the head whose logits are wanted; in training also those of
                the momentum model.
            step: a step of ``mt_fairseq.models.albef.steps``, by name.
            inputs: what else that step takes.
        """
        if step is not None:
            if step not in STEPS:
                raise UserError(
                    f"ALBEF has no training step {step!r}: take --criterion albef_pretrain or "
                    "albef_retrieval"
                )
            return STEPS[step].run(self, src_tokens, images, **inputs)
        output = self.fuse_images(self.network, src_tokens, images, return_all)
        if classification_head_name is not None:
            output.logits = self.classify(classification_head_name, output)
            if self.training:
                distilled_logits(self, classification_head_name, src_tokens, images, output)
        return output

    @staticmethod
    def fuse_images(
        network: AlbefNetwork, src_tokens: Tensor, images: Tensor, return_all: bool = False
    ) -> DistilledOutput:
        """Encode and fuse: one image a text, or two (B, 2, 3, H, W) of one sample."""
        if images.dim() == 4:
            images = images[:, None]
        text = network.encode_text(src_tokens)
        fused = network.fuse_sets(text, network.encode_image_sets(images), return_all)
        return DistilledOutput(fused.text, None, network.pool(fused), layers=fused.layers)

    def classify(self, name: str, output: Any) -> Tensor:
        """Logits of the head ``name``: (B, classes); for mlm (B, T, V)."""
        if name == "mlm" and name in self.heads:
            return self.heads[name](output.text, self.network.words)
        return super().classify(name, output)

    def encode_text(self, src_tokens: Tensor) -> TextStates:
        """Run the text encoder: tokens (B, T) -> states."""
        return self.network.encode_text(src_tokens)

    def contrastive_features(
        self, text_states: TextStates, image_states: ImageStates
    ) -> tuple[Tensor, Tensor]:
        """Normalised features (B, E) of texts and (M, E) of images, by the head ``itc``."""
        return self.heads["itc"](text_states.last, image_states.last)

    @torch.no_grad()
    def rank_answers(
        self, tokens: Tensor, images: Tensor, candidates: Tensor, k: int, first_token_twice: bool
    ) -> tuple[Tensor, Tensor]:
        """The ``k`` likeliest of a list of answers, best first, by the head ``answers``.

        Args:
            tokens: (B, T) questions; images: (B, 1, 3, H, W).
            candidates: (C, L) <s> answer </s>, padded.
            k, first_token_twice: as for ``modules.albef.ranking.rank_answers``.

        Returns:
            (B, k) numbers of candidates and (B, k) log probabilities among these k.

        Raises UserError without that head, or if the scores are not finite.
        """
        if "answers" not in self.heads:
            raise UserError(
                "this checkpoint has no answer decoder: it was not trained as albef_vqa"
            )
        text = self.encode_text(tokens)
        states = self.fuse(text, self.encode_images(images)).text
        decoder: Any = self.heads["answers"]
        classes, scores = rank_answers(
            decoder, states, text.mask, candidates.to(tokens.device), k, first_token_twice
        )
        if not bool(torch.isfinite(scores).all()):
            raise UserError(
                "the model's outputs are not finite numbers: evaluate without --fp16, or an "
                "earlier checkpoint"
            )
        return classes, scores

    # --- the momentum model ---

    @property
    def alpha(self) -> float:
        """Weight of the momentum model's targets at this update: ramped up over one epoch."""
        if self.twin is None:
            return 0.0
        if self.cfg.constant_alpha or not self.updates_per_epoch:
            return float(self.cfg.distill_alpha)
        return float(self.cfg.distill_alpha) * min(1.0, self.num_updates / self.updates_per_epoch)

    def set_num_updates(self, num_updates: int) -> None:
        """fairseq tells of the updates done, before each forward pass of training."""
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    def set_batches_per_epoch(self, batches: int) -> None:
        """The task tells how many batches an epoch has, over which alpha is ramped up."""
        self.updates_per_epoch = -(-batches // self.cfg.update_freq[0])

    def follow(self) -> None:
        """Move the twin, once an update, by what the last optimizer step left.

        Accumulated steps (``--update-freq``) count as one; evaluation moves nothing.
        """
        if self.twin is not None and self.training and self._followed != self.num_updates:
            self.twin.follow(self.network, self.heads, self.cfg.momentum)
            self._followed = self.num_updates

    # --- what training and tasks ask ---

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Make a checkpoint fit: of the same task, or of the one that came before it.

        Raises:
            UserError: the checkpoint is of another architecture or vocabulary.
        """
        self.load_report = reconcile_albef(self, state_dict)
        self.take_report(self.load_report, state_dict)

    def max_positions(self) -> int:
        """Longest text in tokens."""
        return self.network.text_encoder.max_length

    def prepare_for_inference_(self, cfg: DictConfig) -> None:
        """fairseq's hook before generation, where nothing asks the momentum model."""
        super().prepare_for_inference_(cfg)
        self.twin = self.queue = None


@register_model("albef_base", dataclass=AlbefConfig)
class AlbefBase(AlbefModel):
    """BASE sizes; pre-trained encoders."""


@register_model("albef_tiny", dataclass=AlbefTinyConfig)
class AlbefTiny(AlbefModel):
    """Tiny sizes; random encoders."""
