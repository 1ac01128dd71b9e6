"""``python -m preprocess merge``: several data-bins as one, without copying an image.

Texts and columns are written anew (they are small); image packs are linked. The new data-bin
appears complete or not at all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import full_disk_is_clear, sha256_of, write_json, write_text
from mt_fairseq.data.metadata import (
    DATA_BIN_VERSION,
    FORMAT,
    LABEL_FILE,
    METADATA_FILE,
    label_lines,
)
from mt_fairseq.errors import UserError
from preprocess.destination import check_destination
from preprocess.dictionary import write_dictionary
from preprocess.merge_sources import Source, check_alike, common_labels, open_sources
from preprocess.merge_split import merge_split


def merge(args: argparse.Namespace) -> int:
    """Run ``python -m preprocess merge``."""
    dest = Path(args.dest)
    sources = open_sources(args.sources)
    if dest.resolve() in [source.data.path.resolve() for source in sources]:
        raise UserError(f"--dest {dest}: is one of the data-bins to merge")
    check_destination(dest, overwrite=args.overwrite)
    check_alike(sources)
    splits = _splits(sources, args.splits.split(",") if args.splits else None)
    # Beside the destination, so that relative links hold when it gets its name.
    partial = dest.with_name(dest.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with full_disk_is_clear(partial):
        (partial / "images").mkdir(parents=True)
    try:
        metadata = _write(partial, sources, splits)
        write_json(partial / METADATA_FILE, metadata)
        if dest.exists():
            shutil.rmtree(dest)
        partial.rename(dest)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _report(dest, metadata)
    return 0


def _splits(sources: list[Source], wanted: list[str] | None) -> list[str]:
    """Names in order of first appearance, or those that the user chose."""
    present = list(dict.fromkeys(name for source in sources for name in source.data.splits))
    unknown = [name for name in wanted or () if name not in present]
    if unknown:
        raise UserError(f"--splits {','.join(wanted or ())}: no data-bin has split {unknown[0]!r}; "
                        f"there are {', '.join(present)}")  # fmt: skip
    return [name for name in present if wanted is None or name in wanted]


def _write(dest: Path, sources: list[Source], splits: list[str]) -> dict[str, Any]:
    """All files but metadata.json, which is returned."""
    packs, checksums = _link_packs(dest, sources)
    labels = common_labels(sources)
    tokenizer = sources[0].data.tokenizer
    tokenizer.save(dest)
    write_dictionary(dest, tokenizer)
    if labels is not None:
        write_text(dest / LABEL_FILE, label_lines(labels))
    limit = max(source.data.metadata["max_text_len"] for source in sources)
    summaries = {name: merge_split(dest, name, sources, limit) for name in splits}
    for path in sorted(dest.rglob("*")):
        if path.is_file() and not path.is_symlink():
            checksums[path.relative_to(dest).as_posix()] = {
                "bytes": path.stat().st_size, "sha256": sha256_of(path)}  # fmt: skip
    return {
        "format": FORMAT,
        "version": DATA_BIN_VERSION,
        "dataset": "merge",
        "sources": {source.name: source.data.metadata["dataset"] for source in sources},
        "plan": {"dataset": "merge"},
        "tokenizer": sources[0].data.metadata["tokenizer"],
        "labels": None if labels is None else len(labels),
        "max_text_len": limit,
        "clean_text": sources[0].data.text_cleaning,
        "images": {
            "count": sum(len(source.data.images) for source in sources),
            "encoding": _common(sources, "encoding"),
            "resize": _common(sources, "resize"),
            "packs": packs,
        },
        "splits": summaries,
        "files": dict(sorted(checksums.items())),
    }


def _link_packs(
    dest: Path, sources: list[Source]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Link every pack; its entry and its checksum are those of its data-bin."""
    packs: list[dict[str, Any]] = []
    checksums: dict[str, dict[str, Any]] = {}
    for source in sources:
        about = source.data.metadata
        for pack in about["images"]["packs"]:
            name = f"images/{len(packs):05d}.h5"
            # the pack itself, also where the source is a merge: one link, whatever lies between
            target = os.path.realpath(source.data.path / pack["file"])
            (dest / name).symlink_to(os.path.relpath(target, (dest / "images").resolve()))
            prefix = f"{source.name}/{pack.get('prefix', '')}"
            packs.append({**pack, "file": name, "prefix": prefix})
            checksums[name] = about["files"][pack["file"]]
    return packs, checksums


def _common(sources: list[Source], name: str) -> Any:
    """A setting that all share, or "mixed"."""
    values = {source.data.metadata["images"][name] for source in sources}
    return values.pop() if len(values) == 1 else "mixed"


def _report(dest: Path, metadata: dict[str, Any]) -> None:
    for name, split in metadata["splits"].items():
        line = f"{name}: {split['samples']:,} samples on {split['images']:,} images"
        if "remark" in split:
            line += f"; {split['remark']}"
        print(line, file=sys.stderr)
    images = metadata["images"]
    print(f"wrote {dest}: {images['count']:,} images in {len(images['packs'])} linked packs of "
          f"{', '.join(metadata['sources'])}", file=sys.stderr)  # fmt: skip
