"""A data-bin with the counts of pre-training on four data sets, and blobs as tiny as can be.

Written with the project's own writers, but not by ``preprocess``, which would want millions of
picture files.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mt_fairseq.data.columns import write_columns
from mt_fairseq.data.columns_joined import ArrayColumn
from mt_fairseq.data.files import atomic_file, sha256_of, write_json
from mt_fairseq.data.image_pack import PackWriter
from mt_fairseq.data.metadata import DATA_BIN_VERSION, FORMAT, METADATA_FILE
from mt_fairseq.data.token_file import TokenWriter
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.data.tokenizer_build import obtain

IMAGES_PER_PACK = 4096  # as preprocess
KINDS = 64
"""Different pictures; their bytes repeat."""
SIDE = 8
MEAN_WORDS, SPREAD, LONGEST = 11, 3, 60
WORDS = ["a", "small", "square", "on", "the", "grey", "ground", "of", "picture", "number"]


def write_large_bin(folder: Path, images: int, texts: int) -> None:
    """Write a data-bin of captions with one split, ``train``; text i belongs to a random image."""
    rng = np.random.default_rng(0)
    sentences = (" ".join(rng.permutation(WORDS)) for _ in range(500))
    tokenizer = obtain("sentencepiece", sentences, 100)
    tokenizer.save(folder)
    packs = list(_write_packs(folder, images))
    tokens = _write_texts(folder, texts, tokenizer, rng)
    owners = rng.permutation(texts) % images
    columns = {"image": owners[:, None], "sample_id": np.arange(texts), "image_id": owners}
    write_columns(
        folder / "train.h5", {name: ArrayColumn(values) for name, values in columns.items()}
    )
    names = [str(pack["file"]) for pack in packs]
    names += ["train.h5", "train.text.bin", "train.text.idx"]
    write_json(
        folder / METADATA_FILE,
        {
            "format": FORMAT,
            "version": DATA_BIN_VERSION,
            "dataset": "synthetic",
            "tokenizer": {"kind": tokenizer.kind, "fingerprint": tokenizer.fingerprint},
            "labels": None,
            "images": {"count": images, "encoding": "encoded", "packs": packs},
            "splits": {"train": {"samples": texts, "images": images, "tokens": tokens}},
            "files": {name: _description(folder / name) for name in names},
        },
    )


def _write_packs(folder: Path, images: int) -> Iterator[dict[str, object]]:
    blobs = [_picture(kind) for kind in range(KINDS)]
    for number, start in enumerate(range(0, images, IMAGES_PER_PACK)):
        path = folder / "images" / f"{number:05d}.h5"
        stop = min(start + IMAGES_PER_PACK, images)
        with PackWriter(path) as writer:
            for i in range(start, stop):
                writer.add(f"train2014/{i:012d}.jpg", blobs[i % KINDS], SIDE, SIDE)
        yield {
            "file": path.relative_to(folder).as_posix(),
            "images": stop - start,
            "bytes": path.stat().st_size,
        }


def _picture(kind: int) -> bytes:
    buffer = io.BytesIO()
    colour = tuple(np.random.default_rng(kind).integers(0, 256, 3).tolist())
    Image.new("RGB", (SIDE, SIDE), colour).save(buffer, "PNG")
    return buffer.getvalue()


def _write_texts(
    folder: Path, texts: int, tokenizer: TextTokenizer, rng: np.random.Generator
) -> int:
    lengths = np.clip(rng.normal(MEAN_WORDS, SPREAD, texts).round(), 3, LONGEST).astype(np.int32)
    # any symbol but <s>, <pad>, </s>, <unk>, which come first, and <mask>, which comes last
    ids = rng.integers(4, tokenizer.mask, int(lengths.sum()))
    with atomic_file(folder / "train.text.bin") as stream:
        writer = TokenWriter(stream, len(tokenizer.symbols))
        stream.write(ids.astype(writer.dtype).tobytes())
    writer.lengths.frombytes(lengths.tobytes())
    writer.write_index(folder / "train.text.idx")
    return len(ids)


def _description(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
