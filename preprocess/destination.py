"""The destination folder: may it be written, is it a run to resume, and its end."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import full_disk_is_clear, read_json, write_json
from mt_fairseq.data.metadata import BUILDING, METADATA_FILE
from mt_fairseq.errors import UserError
from preprocess.options import Options

PLAN_FILE = "plan.json"
DIGESTS = {"images": "other images or records", "tokenizer": "another tokenizer or other texts"}
"""What a difference means where the plan holds a checksum."""


def check_destination(
    dest: Path, overwrite: bool, resume: bool = False, shard: bool = False
) -> None:
    """Before any work: UserError unless the folder is new, empty, to be resumed or replaced."""
    if dest.is_file():
        raise UserError(f"--dest {dest}: is a file")
    if not dest.is_dir() or not any(dest.iterdir()):
        return
    ours = (dest / METADATA_FILE).is_file() or (dest / BUILDING).is_dir()
    if not ours:
        raise UserError(f"--dest {dest}: exists and is no data-bin; name a new folder")
    if overwrite or resume:
        return
    if (dest / METADATA_FILE).is_file():
        raise UserError(
            f"--dest {dest}: exists; --overwrite replaces it, or name a new folder "
            "(--resume is for a run that was stopped)"
        )
    if not shard:
        raise UserError(
            f"--dest {dest}: exists unfinished; --resume goes on, --overwrite starts anew"
        )


def plan_of(deciding: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """What decides the bytes of all files: options and the images in order."""
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode() + b"\0")
    return {**deciding, "images": digest.hexdigest()}


def begin(options: Options, plan: dict[str, Any]) -> None:
    """Make the folder ready: cleared for a new run, checked against the plan for a resumed one."""
    dest = options.dest
    if options.overwrite and dest.is_dir():
        shutil.rmtree(dest)
    stored = dest / BUILDING / PLAN_FILE
    if stored.is_file():
        must_agree(read_json(stored), plan, dest)
    with full_disk_is_clear(dest):
        (dest / "images").mkdir(parents=True, exist_ok=True)
        (dest / BUILDING).mkdir(exist_ok=True)
    write_json(stored, plan)
    if not options.shard:  # another shard may be writing its own just now
        for left_over in [*dest.glob("*.tmp"), *dest.glob("images/*.tmp"),
                          *dest.glob(f"{BUILDING}/*.tmp")]:  # fmt: skip
            left_over.unlink()


def must_agree(stored: dict[str, Any], plan: dict[str, Any], dest: Path) -> None:
    """UserError unless a stopped or finished run was asked for the same as this one."""
    for name, now in plan.items():
        was = stored.get(name)
        if was != now:
            what = DIGESTS.get(name, f"{name.replace('_', '-')} {was} (now {now})")
            raise UserError(
                f"--dest {dest}: was begun with {what}; repeat that command to --resume, "
                "or start anew with --overwrite"
            )


def finish(dest: Path, metadata: dict[str, Any]) -> None:
    """The last step: with metadata.json the data-bin is complete."""
    write_json(dest / METADATA_FILE, metadata)
    shutil.rmtree(dest / BUILDING)
