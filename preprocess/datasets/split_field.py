"""Files that hold several splits, each entry naming its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mt_fairseq.errors import UserError
from preprocess.fields import FieldFault, Fields


def splits_among(entries: Iterable[Fields], names: dict[str, str], path: Path) -> list[str]:
    """The splits that entries belong to, in the order of ``names``.

    Args:
        names: our name of a split by the file's name of it.
        path: the file; UserError if none of its entries names a known split.
    """
    present: set[str] = set()
    first_fault: FieldFault | None = None
    for entry in entries:
        try:
            present.add(entry.one_of("split", names))
        except FieldFault as fault:
            first_fault = first_fault or fault
    if not present:
        reason = first_fault or "it has no entries"
        raise UserError(f"{path}: none of its entries belongs to a split ({reason})")
    return list(dict.fromkeys(names[name] for name in names if name in present))
