"""Data-bins of any size without picture files, and pictures as rich as photographs.

Written with the project's own writers, but not by ``preprocess``, which would want a file for every
one of millions of pictures.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from mt_fairseq.data.tokenizer_build import train_sentencepiece

IMAGES_PER_PACK = 4096  # as preprocess
MEAN_WORDS, SPREAD, LONGEST = 11, 3, 60  # as captions of COCO
WORDS = ["a", "small", "square", "on", "the", "grey", "ground", "of", "picture", "number"]


@dataclass(frozen=True)
class Picture:
    """What a pack stores: bytes, and size in pixels."""

    data: bytes
    height: int
    width: int


def tiny_pictures(count: int, side: int = 8) -> list[Picture]:
    """Of one colour each, some 70 bytes."""
    found = []
    for colour in np.random.default_rng(0).integers(0, 256, (count, 3)).tolist():
        image = Image.new("RGB", (side, side), tuple(colour))
        found.append(_picture(image, "PNG"))
    return found


def photographs(count: int, height: int = 480, width: int = 640) -> list[Picture]:
    """JPEG files of about the size that COCO's have (160 KB for 640x480).

    Noise of every scale, each octave half as strong as the one below it: detail everywhere, as in
    a photograph of a busy place.
    """
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        pixels = np.full((height, width, 3), 128, np.float32)
        for octave in range(1, 8):
            shape = (height >> octave) + 2, (width >> octave) + 2, 3
            noise = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
            smooth = noise.resize((width, height), Image.Resampling.BICUBIC)
            pixels += (np.asarray(smooth, np.float32) - 128) * 2.0 ** (octave - 7)
        pixels += rng.normal(0, 9, pixels.shape)
        found.append(_picture(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "JPEG"))
    return found


def _picture(image: Image.Image, kind: str) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=95)
    return Picture(buffer.getvalue(), image.height, image.width)


def write_bin(
    folder: Path,
    pictures: Sequence[Picture],
    images: int,
    texts: int,
    encoding: str = "encoded",
) -> None:
    """Write a data-bin of captions with one split, ``train``.

    Args:
        pictures: stored in turns, again and again.
        images: how many to store.
        texts: text i belongs to a random image; all images have about the same number of texts.
        encoding: of the pictures, "encoded" or "pixels".
    """
    rng = np.random.default_rng(0)
    sentences = (" ".join(rng.permutation(WORDS)) for _ in range(500))
    tokenizer = train_sentencepiece(sentences, 100)
    tokenizer.save(folder)
    packs = list(_write_packs(folder, pictures, images, encoding))
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
            "images": {"count": images, "encoding": encoding, "packs": packs},
            "splits": {"train": {"samples": texts, "images": images, "tokens": tokens}},
            "files": {name: _description(folder / name) for name in names},
        },
    )


def _write_packs(
    folder: Path, pictures: Sequence[Picture], images: int, encoding: str
) -> Iterator[dict[str, object]]:
    for number, start in enumerate(range(0, images, IMAGES_PER_PACK)):
        path = folder / "images" / f"{number:05d}.h5"
        stop = min(start + IMAGES_PER_PACK, images)
        with PackWriter(path, encoding) as writer:
            for i in range(start, stop):
                picture = pictures[i % len(pictures)]
                writer.add(f"train2014/{i:012d}.jpg", picture.data, picture.height, picture.width)
        yield {
            "file": path.relative_to(folder).as_posix(),
            "images": stop - start,
            "bytes": path.stat().st_size,
        }


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
