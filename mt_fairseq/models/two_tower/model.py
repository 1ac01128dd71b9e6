"""The fairseq model of the family: network, heads, and what training and loading need."""

from __future__ import annotations

import logging
from typing import Any

import torch
from fairseq.models import BaseFairseqModel
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.errors import UserError
from mt_fairseq.models.checks import check_image_size, check_ranges, check_text_length
from mt_fairseq.models.compiling import check_compiler, compile_parts, log_compilation
from mt_fairseq.models.encoders import build_text, build_vision, resolve_encoders, store_configs
from mt_fairseq.models.head_classes import ClassNames
from mt_fairseq.models.loading import HEADS, LoadReport, reconcile
from mt_fairseq.models.named_heads import NamedHeads
from mt_fairseq.models.param_groups import BASE, tag_head, tag_model, tag_parameters
from mt_fairseq.models.two_tower.heads import HEAD_KINDS
from mt_fairseq.models.two_tower.steps import STEPS
from mt_fairseq.modules.checkpointing import checkpoint_layers
from mt_fairseq.modules.cross_modal import FUSIONS, CrossModalEncoder
from mt_fairseq.modules.heads import init_weights
from mt_fairseq.modules.outputs import (
    FusionOutput,
    ImageStates,
    TextStates,
    TwoTowerOutput,
)
from mt_fairseq.modules.two_tower import TwoTower

logger = logging.getLogger(__name__)
REPORTED_AFTER = 2  # training passes: a second length of texts may compile once more


class TwoTowerModel(BaseFairseqModel):
    """A two-tower network with task heads; subclasses say how layers are aggregated.

    Left out of the reference because nothing ever reads them: RoBERTa's pooler, the left-overs of
    CLIP's text tower, and the managers' ``softmax_temperature_cross``.

    Args:
        cfg: a TwoTowerConfig with both encoder configurations resolved.
        network: the network.
    """

    def __init__(self, cfg: DictConfig, network: TwoTower) -> None:
        super().__init__()
        self.cfg = cfg
        self.pad = network.text_encoder.pad
        self.network = network
        self.heads = NamedHeads()
        self.load_report: LoadReport | None = None
        self.class_names = ClassNames()
        self.trained_heads_only = False
        # ALBEF has no such options
        self.compiled_calls: int | None = 0 if cfg.get("compile") else None
        if cfg.get("checkpoint_activations"):
            checkpoint_layers(network)
        self.tag_parameters()

    def tag_parameters(self) -> None:
        """Say for each parameter which group of the optimizer it belongs to."""
        tag_model(self.network, self.heads)

    @classmethod
    def build_model(cls, cfg: DictConfig, task: Any) -> TwoTowerModel:
        """Build network and heads for a task.

        Pre-trained encoder weights are read for a fresh start only: a configuration that came
        with a checkpoint carries its encoders' configurations, and a task that will load one says
        so with ``restores_checkpoint``.

        Raises:
            UserError: options that don't fit together, or an encoder that cannot be had.
        """
        dictionary = task.source_dictionary
        fresh = not cfg.vision_config and not getattr(task, "restores_checkpoint", False)
        resolve_encoders(cfg, len(dictionary), dictionary.pad())
        image_size = tuple(getattr(task, "resolution", None) or task.image_size)
        check_image_size(cfg, image_size)
        check_text_length(cfg, getattr(task, "text_limit", 0))
        cls.check(cfg)
        store_configs(cfg)
        read_weights = fresh and str(cfg.encoder_weights) == "pretrained"
        network = cls.build_network(cfg, image_size, read_weights)
        model = cls(cfg, network)
        for name, (classes, kind) in task.head_spec().items():
            model.register_classification_head(name, classes, kind)
        return model

    @classmethod
    def build_network(
        cls, cfg: DictConfig, image_size: tuple[int, int], read_weights: bool = False
    ) -> TwoTower:
        """The network of a configuration with resolved encoders."""
        text_encoder = build_text(cfg, read_weights)
        return cls.assemble(cfg, text_encoder, build_vision(cfg, image_size, read_weights))

    @classmethod
    def check(cls, cfg: DictConfig) -> None:
        """UserError for options that don't fit together; before any weight is made or read."""
        check_ranges(cfg)

    @classmethod
    def assemble(cls, cfg: DictConfig, text_encoder: Any, vision_encoder: Any) -> TwoTower:
        """Join two encoders into a network: one method a kind of aggregation."""
        raise NotImplementedError

    @staticmethod
    def build_cross_modal(cfg: DictConfig, **aggregation: Any) -> CrossModalEncoder:
        """The cross-modal encoder around a model's aggregations."""
        layers = [
            FUSIONS[str(cfg.fusion)](
                cfg.hidden_size,
                cfg.cross_modal_heads,
                cfg.dropout,
                cfg.attention_dropout,
                cfg.cross_modal_norm_eps,
                cfg.cross_modal_inner or 4 * cfg.hidden_size,
            )
            for _ in range(cfg.num_cross_modal_layers)
        ]
        return CrossModalEncoder(
            layers, heads=cfg.cross_modal_heads, eps=cfg.aggregation_norm_eps, **aggregation
        )

    def register_classification_head(
        self, name: str, num_classes: int, kind: str = "", **options: Any
    ) -> None:
        """Add a head of a registered ``kind`` (by default that of its name: itm, mlm, itc).

        ``num_classes`` is the vocabulary for mlm and the feature width for itc (0: the
        configuration's). A head for pairs of images also gives the second image a token-type row of
        its own, a copy of the first image's. ``options`` go to the head's class.

        Raises:
            UserError: no such kind, or a name that is taken.
        """
        found = HEAD_KINDS[kind or name]
        head = found.build(self.cfg, self.network, num_classes, **options)
        head.apply(init_weights)
        self.heads.add(name, found, head)
        tag_head(head)
        if found.images > 1:
            self.add_second_image_type()

    def add_second_image_type(self) -> None:
        """Grow the token-type table to three rows; row 2 starts as a copy of row 1."""
        old = self.network.token_types.weight
        if len(old) > 2:
            return
        new = nn.Parameter(torch.cat([old.detach(), old.detach()[1:2]]))
        self.network.token_types.weight = new
        self.network.token_types.num_embeddings = 3
        tag_parameters(self.network.token_types, BASE)

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
        """Fuse texts with images: a TwoTowerOutput; with ``step``, one training step instead.

        With a head and without ``return_all``, the last cross-modal layer makes only what the head
        reads: position 0 of both sides, or for mlm the text (and then nothing is pooled).

        Args:
            src_tokens: (B, T) ids, right-padded.
            images: (M, K, 3, H, W) or (M, 3, H, W); uint8, or floats already normalised. K = 2
                for pairs of images. M = B but in training steps.
            return_all: also give every cross-modal layer's states and aggregation weights.
            classification_head_name: the head whose logits are wanted.
            step: a training step of ``mt_fairseq.models.two_tower.steps``, by name.
            inputs: what else that step takes.
        """
        if self.training and self.compiled_calls is not None:
            self.compile_and_report()
        if step is not None:
            return STEPS[step].run(self, src_tokens, images, **inputs)
        text = self.encode_text(src_tokens)
        if images.dim() == 4:
            images = images[:, None]
        sets = self.network.encode_image_sets(images)
        spare = classification_head_name is not None and not return_all
        of_text = classification_head_name == "mlm"
        wanted = {"need_image": not (spare and of_text), "first_only": spare and not of_text}
        fused = [self.network.fuse(text, image, return_all, **wanted) for image in sets]
        pooled = None
        if wanted["need_image"]:
            pooled = torch.cat([self.network.pool(f) for f in fused], dim=-1)
        first = fused[0]
        output = TwoTowerOutput(first.text, first.image, pooled, layers=first.layers)
        if classification_head_name is not None:
            output.logits = self.classify(classification_head_name, output)
        return output

    def compile_and_report(self) -> None:
        """Compile before the first training pass, log what came of it before the third.

        A model that only answers is not compiled, whatever the run that trained it chose.
        """
        assert self.compiled_calls is not None
        if self.compiled_calls == 0:
            check_compiler()
            compile_parts(self.network)
        if self.compiled_calls == REPORTED_AFTER:
            log_compilation()
        self.compiled_calls += 1

    def classify(self, name: str, output: TwoTowerOutput) -> Tensor:
        """Logits of the head ``name``: (B, classes); for mlm (B, T, V)."""
        return self.heads[name](output.text if name == "mlm" else output.pooled)

    def encode_text(self, src_tokens: Tensor) -> TextStates:
        """Run the text tower: tokens (B, T) -> states."""
        return self.network.encode_text(self.pad_text(src_tokens, self.pad))

    def encode_images(self, images: Tensor) -> ImageStates:
        """Run the vision tower: images (M, 3, H, W) or (M, 1, 3, H, W) -> states."""
        return self.network.encode_images(images)

    def fuse(
        self, text_states: TextStates, image_states: ImageStates, return_all: bool = False
    ) -> FusionOutput:
        """Fuse text i with image i; use ``select`` of the states to make other pairs."""
        return self.network.fuse(text_states, image_states, return_all)

    def match_logits(self, text_states: TextStates, image_states: ImageStates) -> Tensor:
        """Logits (B, 2) of the head ``itm`` for text i with image i; class 1 = match."""
        fused = self.network.fuse(text_states, image_states, first_only=True)
        return self.heads["itm"](self.network.pool(fused))

    def contrastive_features(
        self, text_states: TextStates, image_states: ImageStates
    ) -> tuple[Tensor, Tensor]:
        """Normalised features (B, E) of texts and (M, E) of images, by the head ``itc``."""
        projected = self.cfg.transformers_contrastive
        image = image_states.experts[-1] if projected else image_states.last
        return self.heads["itc"](text_states.last, image)

    def pad_text(self, tokens: Tensor, value: Any) -> Tensor:
        """Pad (B, T) to the configuration's constant length, if it has one."""
        length = self.cfg.text_length
        if not length:
            return tokens
        if tokens.shape[1] > length:
            raise UserError(
                f"a text of {tokens.shape[1]} tokens for a model with texts of {length}: "
                f"set --max-text-len {length}"
            )
        return F.pad(tokens, (0, length - tokens.shape[1]), value=value)

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Make a checkpoint of the family fit: called by every ``load_state_dict`` of fairseq.

        The report of what was loaded, new, left out and resized is logged once and kept in
        ``load_report``.

        Raises:
            UserError: the checkpoint is of another architecture or vocabulary.
        """
        self.load_report = reconcile(self.state_dict(), state_dict, self.class_names)
        self.take_report(self.load_report, state_dict)

    def take_report(self, report: LoadReport, state_dict: dict[str, Tensor]) -> None:
        """Log it; for evaluation (``trained_heads_only``) take off the heads that are not trained.

        They would answer at random.
        """
        logger.info(str(report))
        for head in report.untrained_heads if self.trained_heads_only else ():
            del self.heads[head]
            for name in [n for n in state_dict if n.startswith(f"{HEADS}{head}.")]:
                del state_dict[name]

    @property
    def image_positions(self) -> int:
        """Positions P that one image takes, class token included."""
        rows, columns = self.network.vision_encoder.grid
        return 1 + rows * columns

    def max_positions(self) -> int:
        """Longest text in tokens."""
        return self.cfg.text_length or self.network.text_encoder.max_length

    def prepare_for_inference_(self, cfg: DictConfig) -> None:
        """fairseq's hook before generation; nothing to prepare."""
        self.eval()
