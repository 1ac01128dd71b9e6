"""A model's heads by name; what asks for one that is not there gets one line."""

from __future__ import annotations

from torch import nn

from mt_fairseq.errors import UserError


class NamedHeads(nn.ModuleDict):
    """As its base, with a UserError for a head that the model lacks."""

    def __getitem__(self, key: str) -> nn.Module:
        if key not in self:
            raise UserError(
                f"the model has no head {key!r}, it has {', '.join(self) or 'none'}: was its "
                "checkpoint trained for this task?"
            )
        return super().__getitem__(key)
