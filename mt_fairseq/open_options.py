"""Options whose choices are a registry's names, read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fairseq.dataclass import FairseqDataclass

from mt_fairseq.errors import UserError
from mt_fairseq.registry import Registry

REGISTRY = "registry"
"""In a field's metadata: the registry whose names the option takes."""


@dataclass
class OpenOptions(FairseqDataclass):
    """Options, some of whose values are names that a user's own ``--user-dir`` may register."""

    def _get_help(self, attribute_name: str) -> Any:
        """fairseq's hook for ``--help``: by then all names are registered."""
        text = super()._get_help(attribute_name)
        registry = self._get_meta(attribute_name, REGISTRY)
        return text if registry is None else f"{text}; one of {', '.join(registry)}"


def check_open_options(dataclass: Any, options: Any) -> None:
    """UserError for an option with a name that its registry lacks.

    Args:
        dataclass: the options' class.
        options: their values by name; those that are missing or None are passed over.
    """
    for name, item in getattr(dataclass, "__dataclass_fields__", {}).items():
        registry: Registry[Any] | None = item.metadata.get(REGISTRY)
        value = options.get(name)
        if registry is not None and value is not None and str(value) not in registry:
            raise UserError(
                f"--{name.replace('_', '-')} {value}: there is no such {registry.kind}; take one "
                f"of {', '.join(registry)}"
            )
