"""``mt-user-dir``: prints the folder to give to fairseq as ``--user-dir`` of an installed copy."""

from __future__ import annotations

from pathlib import Path


def user_dir() -> Path:
    """The folder that registers the plug-in when fairseq imports it."""
    return Path(__file__).resolve().parent / "mt_user_dir"


def main() -> int:
    print(user_dir())
    return 0
