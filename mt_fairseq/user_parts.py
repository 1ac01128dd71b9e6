"""``--user-dir`` of this package's own commands: a folder that registers a user's own parts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mt_fairseq.errors import UserError, fairseq_needed

OPTION = "--user-dir"
HELP = "folder that registers parts of your own, as fairseq-train takes it (examples/extend)"


def import_user_dir(folder: str | Path) -> None:
    """Import a folder as fairseq does; UserError if there is none, or its code can't be imported.

    Its name must be that of no other module. A second call changes nothing.
    """
    path = Path(folder).resolve()
    if not (path / "__init__.py").is_file():
        raise UserError(f"{OPTION} {folder}: no folder with an __init__.py")
    with fairseq_needed():
        from fairseq.utils import import_user_module
    try:
        import_user_module(argparse.Namespace(user_dir=str(path)))
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{OPTION} {folder}: {error}") from error


def user_dir_in(argv: Sequence[str] | None) -> str | None:
    """The value of ``--user-dir`` in a command line (None: this process's), None without."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(OPTION)
    try:
        found: str | None = parser.parse_known_args(words)[0].user_dir
    except argparse.ArgumentError:  # the command's own parser says what is wrong
        return None
    return found


def import_named(argv: Sequence[str] | None) -> None:
    """Import what a command line names, before its parser reads names that it may register."""
    folder = user_dir_in(argv)
    if folder is not None:
        import_user_dir(folder)
