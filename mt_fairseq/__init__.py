"""ManagerTower and its family of two-tower vision-language models as a fairseq plug-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mt_fairseq.models.hub import Albef, BridgeTower, ManagerTower, Meter

__version__ = "0.1.0"
__all__ = ["Albef", "BridgeTower", "ManagerTower", "Meter"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `python -m preprocess --help` and light imports don't pay for torch and fairseq.
    if name in __all__:
        from mt_fairseq.errors import fairseq_needed

        with fairseq_needed():
            from mt_fairseq.models import hub
        return getattr(hub, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
