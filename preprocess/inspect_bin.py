"""``python -m preprocess inspect``: what is in a data-bin, and is it still what was written."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.files import sha256_of
from mt_fairseq.errors import UserError
from preprocess.progress import progress

TOP = 8
NAMED_FAULTS = 5


def inspect(args: argparse.Namespace) -> int:
    """Print, verify, and write the page of ``--sample``."""
    data = DataBin(args.data_bin)
    # Files first: what stands in a damaged one is not worth printing.
    # A pack that is linked and gone is one line of its own, before all others.
    _ = data.images
    faults = list(file_faults(data)) or list(image_faults(data))
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise UserError(f"{faults[0]}{more}; write the data-bin again")
    for line in description(data):
        print(line)
    files = len(data.metadata["files"])
    print(f"checksums: all {files} files and {len(data.images):,} images agree")
    if args.sample is not None:
        from preprocess.sample_page import write_samples

        out = Path(args.out)
        write_samples(data, args.sample, out)
        print(f"samples: {out}")
    return 0


def description(data: DataBin) -> Iterator[str]:
    """Lines about tokenizer, images, classes and every split."""
    about = data.metadata
    yield f"{data.path}: {about['dataset']}, format version {about['version']}"
    if "sources" in about:
        yield "joined from: " + ", ".join(f"{k} ({v})" for k, v in about["sources"].items())
    token = about["tokenizer"]
    yield f"tokenizer: {token['name']} ({token['kind']}), {token['symbols']:,} symbols"
    yield _images_line(data)
    if data.labels is not None:
        more = ", ..." if len(data.labels) > TOP else ""
        first = ", ".join(repr(x) for x in data.labels[:TOP])
        yield f"classes: {len(data.labels):,} ({first}{more})"
    for name in data.splits:
        yield from _split_lines(data, name)


def _images_line(data: DataBin) -> str:
    images = data.metadata["images"]
    sizes = np.concatenate([pack.open().sizes for pack in data.images.packs])
    stored = sum(pack["bytes"] for pack in images["packs"])
    shorter = sizes.min(axis=1)
    resized = f", resized to {images['resize']}" if images["resize"] else ""
    return (
        f"images: {len(sizes):,} ({images['encoding']}{resized}), {stored / 1e6:,.1f} MB in "
        f"{len(images['packs'])} packs; height {_span(sizes[:, 0])}, width {_span(sizes[:, 1])}, "
        f"median shorter side {int(np.median(shorter))}"
    )


def _span(values: np.ndarray[Any, Any]) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def _split_lines(data: DataBin, name: str) -> Iterator[str]:
    split, about = data.split(name), data.metadata["splits"][name]
    lengths = split.text_lengths
    yield f"{name}: {len(split):,} samples on {about['images']:,} images"
    yield (
        f"  text: {_span(lengths)} tokens, mean {lengths.mean():.1f}; "
        f"{about['longer_than_max_text_len']:,} longer than {data.metadata['max_text_len']} with "
        "<s> and </s>"
    )
    yield f"  columns: {', '.join(split.columns) or 'none'}"
    if "label" in split.columns and data.labels is not None:
        counts = Counter(split.array("label").tolist())
        top = ", ".join(_share(data.labels, label, count, len(split))
                        for label, count in counts.most_common(TOP))  # fmt: skip
        yield f"  labels: {top}"
    if "remark" in about:
        yield f"  {about['remark']}"
    if about["skipped"]:
        yield f"  left out: {len(about['skipped']):,} records, for example:"
        for item in about["skipped"][:NAMED_FAULTS]:
            yield f"    {item['record']}: {item['reason']}"


def _share(labels: list[str], label: int, count: int, total: int) -> str:
    text = "(no class)" if label < 0 else repr(labels[label])
    return f"{text} {100 * count / total:.0f} %"


def file_faults(data: DataBin) -> Iterator[str]:
    """Files that are missing or hold other bytes than were written."""
    files = data.metadata["files"].items()
    for name, about in progress("checksums", "file", items=files, total=len(files)):
        path = data.path / name
        if not path.is_file():
            yield f"{path}: the file is missing"
        elif path.stat().st_size != about["bytes"]:
            yield f"{path}: has {path.stat().st_size:,} bytes, {about['bytes']:,} were written"
        elif sha256_of(path) != about["sha256"]:
            yield f"{path}: its checksum differs from the one that was written"


def image_faults(data: DataBin) -> Iterator[str]:
    """Images whose bytes do not have the checksum in their pack."""
    for pack in data.images.packs:
        for i in progress(pack.path.name, "image", items=range(len(pack))):
            if not pack.intact(i, pack.raw(i)):
                yield f"{pack.path}: image {pack.key(i)} is damaged"
