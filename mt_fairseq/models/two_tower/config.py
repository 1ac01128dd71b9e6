"""Options that every model of the family takes; architectures are subclasses with other defaults.

A value of 0 or "" means "as the named encoder has it".
"""

from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any

from fairseq.dataclass import ChoiceEnum

from mt_fairseq.modules.cross_modal import FUSIONS
from mt_fairseq.open_options import REGISTRY, OpenOptions

ENCODER_WEIGHTS = ChoiceEnum(["pretrained", "random"])
LARGE = {
    "vision_encoder": "openai/clip-vit-large-patch14",
    "text_encoder": "roberta-large",
    "hidden_size": 1024,
    "cross_modal_heads": 16,
}
TINY = {
    "encoder_weights": "random",
    "vision_width": 128,
    "vision_layers": 4,
    "vision_heads": 4,
    "text_width": 128,
    "text_layers": 4,
    "text_heads": 4,
    "text_positions": 128,
    "hidden_size": 128,
    "num_cross_modal_layers": 3,
    "cross_modal_heads": 4,
}


@dataclass
class EncoderConfig(OpenOptions):
    """The two encoders."""

    vision_encoder: str = field(
        default="openai/clip-vit-base-patch16",
        metadata={"help": "vision encoder: a transformers hub name or a local folder"},
    )
    text_encoder: str = field(
        default="roberta-base",
        metadata={"help": "text encoder: a transformers hub name or a local folder"},
    )
    encoder_weights: ENCODER_WEIGHTS = field(  # type: ignore[valid-type]
        default="pretrained",
        metadata={
            "help": "initial weights of both encoders; random needs no download for known names"
        },
    )
    vision_width: int = field(
        default=0, metadata={"help": "channels of a random vision encoder (0: as named)"}
    )
    vision_layers: int = field(
        default=0, metadata={"help": "layers of a random vision encoder (0: as named)"}
    )
    vision_heads: int = field(
        default=0, metadata={"help": "attention heads of a random vision encoder (0: as named)"}
    )
    patch_size: int = field(
        default=0, metadata={"help": "patch side in pixels, random vision encoder (0: as named)"}
    )
    text_width: int = field(
        default=0, metadata={"help": "channels of a random text encoder (0: as named)"}
    )
    text_layers: int = field(
        default=0, metadata={"help": "layers of a random text encoder (0: as named)"}
    )
    text_heads: int = field(
        default=0, metadata={"help": "attention heads of a random text encoder (0: as named)"}
    )
    text_positions: int = field(
        default=0, metadata={"help": "longest text of a random text encoder (0: as named)"}
    )
    vision_config: str = field(
        default="",
        metadata={"help": "the vision encoder's configuration as JSON; filled in by the program"},
    )
    text_config: str = field(
        default="",
        metadata={"help": "the text encoder's configuration as JSON; filled in by the program"},
    )
    encoder_dropout: float = field(
        default=0.1,
        metadata={"help": "dropout of the text encoder, outputs and attention (CLIP has none)"},
    )


@dataclass
class TwoTowerConfig(EncoderConfig):
    """Encoders, cross-modal encoder and heads; BASE sizes (ManagerTower section 4.1)."""

    hidden_size: int = field(default=768, metadata={"help": "cross-modal width D"})
    num_cross_modal_layers: int = field(default=6, metadata={"help": "cross-modal layers L_C"})
    fusion: str = field(
        default="co-attention",
        metadata={
            "help": "kind of cross-modal layers, two that attend each other or one over both",
            REGISTRY: FUSIONS,
        },
    )
    cross_modal_heads: int = field(
        default=12, metadata={"help": "attention heads of a cross-modal layer"}
    )
    cross_modal_inner: int = field(
        default=0, metadata={"help": "feed-forward channels of a cross-modal layer (0: 4 x width)"}
    )
    dropout: float = field(
        default=0.1, metadata={"help": "dropout on sub-layer outputs of cross-modal layers"}
    )
    attention_dropout: float = field(
        default=0.1, metadata={"help": "dropout on attention weights of cross-modal layers"}
    )
    cross_modal_norm_eps: float = field(
        default=1e-12, metadata={"help": "epsilon of layer norms in cross-modal layers"}
    )
    mlm_norm_eps: float = field(
        default=1e-12, metadata={"help": "epsilon of the MLM head's layer norm"}
    )
    aggregation_norm_eps: float = field(
        default=1e-5, metadata={"help": "epsilon of layer norms in managers and bridges"}
    )
    head_hidden_scale: int = field(
        default=1, metadata={"help": "hidden width of VQA-like heads, in units of 2D"}
    )
    nlvr2_dropout: float = field(
        default=0.1, metadata={"help": "dropout on the input of the NLVR2 head"}
    )
    contrastive_size: int = field(
        default=256, metadata={"help": "width of the features that texts and images compare by"}
    )
    transformers_contrastive: bool = field(
        default=False,
        metadata={
            "help": "contrastive head of transformers' BridgeTower: the image's projected state "
            "instead of the encoder's, and a third projection, of the pooled pair"
        },
    )
    text_length: int = field(
        default=0,
        metadata={
            "help": "pad every text to this many tokens (0: to the longest of the batch); "
            "converted official models need it, their results depend on the padding"
        },
    )
    checkpoint_activations: bool = field(
        default=False,
        metadata={
            "help": "keep each layer's input alone and compute the layer again in the backward "
            "pass: a third more operations, a fraction of the memory, the same gradients"
        },
    )
    compile: bool = field(
        default=False,
        metadata={
            "help": "train through torch.compile; the log says how many graphs it made and what "
            "broke them (needs a C++ compiler on CPUs; the first updates take minutes)"
        },
    )


def derive(name: str, base: type[EncoderConfig], doc: str, **defaults: Any) -> Any:
    """An architecture's option class: ``base`` with other defaults, help texts kept.

    (Writing the field again in a subclass would drop its help from the command line.)
    """
    known = {item.name: item for item in fields(base)}
    own = [
        (key, known[key].type, field(default=value, metadata=dict(known[key].metadata)))
        for key, value in defaults.items()
    ]
    return make_dataclass(
        name, own, bases=(base,), namespace={"__doc__": doc, "__module__": base.__module__}
    )
