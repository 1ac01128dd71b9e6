"""Looking into models: ``python -m mt_fairseq.analysis NAME``.

A new analysis is one module with ``add_arguments(parser)`` and ``run(args)``, and its name here.
Importing this package loads no torch.
"""

from __future__ import annotations

SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "weights": (
        "mt_fairseq.analysis.weights",
        "average aggregation weights of every manager over a split",
    ),
    "similarity": (
        "mt_fairseq.analysis.similarity",
        "cosine similarity of what consecutive managers aggregate",
    ),
    "attention": (
        "mt_fairseq.analysis.attention",
        "average KL divergence between attention heads, layer by layer",
    ),
    "tokens": (
        "mt_fairseq.analysis.tokens",
        "one picture and text: the weights of every patch and token",
    ),
    "grounding": (
        "mt_fairseq.analysis.grounding",
        "one picture and text: where an ALBEF looks (Grad-CAM)",
    ),
    "budget": ("mt_fairseq.analysis.budget", "parameters and FLOPs beside the papers' figures"),
}
