"""Packs of other data-bins: ``python -m preprocess merge`` links to them instead of copying."""

from __future__ import annotations

from pathlib import Path

from mt_fairseq.errors import UserError


def check_links(folder: Path, packs: dict[str, int]) -> None:
    """UserError if a linked pack was moved, or has not the size that it had at the merge.

    Args:
        packs: size in bytes of each pack file by its name within the folder.
    """
    for name, size in packs.items():
        path = folder / name
        if not path.is_symlink():
            continue
        target = path.resolve()
        if not target.is_file():
            raise UserError(
                f"{path}: the pack that it links to is gone ({target}); put that data-bin back, or "
                "merge again"
            )
        if target.stat().st_size != size:
            raise UserError(
                f"{path}: the pack that it links to was changed ({target}); merge again"
            )
