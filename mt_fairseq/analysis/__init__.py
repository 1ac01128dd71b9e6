"""Looking into models: ``python -m mt_fairseq.analysis NAME``.

A new analysis is one module with ``add_arguments(parser)`` and ``run(args)``, and its name here.
Importing this package loads no torch.
"""

from __future__ import annotations

SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "budget": ("mt_fairseq.analysis.budget", "parameters and FLOPs beside the papers' figures"),
}
