"""Samples of a data-bin for a person to look at: one HTML page or one PNG sheet."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.files import atomic_file
from mt_fairseq.data.split import Split
from mt_fairseq.errors import UserError

THUMB = 224
LINE = 15
CHARACTERS = 36
TEXT_LINES = 9
COLUMNS = 4

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1.5em; }}
figure {{ margin: 0; }} img {{ max-width: 100%; height: auto; }}
figcaption b {{ display: block; }} small {{ color: #666; }}
</style></head><body><h1>{title}</h1><main>
{figures}
</main></body></html>
"""


@dataclass
class Sample:
    """One sample as a person reads it."""

    heading: str
    text: str
    label: str
    images: list[Image.Image]


def write_samples(data: DataBin, count: int, out: Path) -> None:
    """Write ``count`` samples, spread evenly over splits and over each split."""
    writers = {".html": _html, ".htm": _html, ".png": _png}
    if out.suffix.lower() not in writers:
        raise UserError(f"--out {out}: must end in .html or .png")
    if out.parent != Path() and not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}")
    samples = [_sample(data, data.split(name), i) for name, i in _choose(data, count)]
    with atomic_file(out) as stream:
        stream.write(writers[out.suffix.lower()](str(data.path), samples))


def _choose(data: DataBin, count: int) -> list[tuple[str, int]]:
    chosen: list[tuple[str, int]] = []
    for k, name in enumerate(data.splits):
        share = count // len(data.splits) + (k < count % len(data.splits))
        length = len(data.split(name))
        rows = np.unique(np.linspace(0, length - 1, min(share, length)).astype(int))
        chosen.extend((name, int(i)) for i in rows)
    return chosen


def _sample(data: DataBin, split: Split, i: int) -> Sample:
    images = []
    for j in split.images(i):
        image = data.images.image(int(j), min_side=THUMB)
        image.thumbnail((THUMB, THUMB))
        images.append(image)
    text = data.tokenizer.decode(split.tokens.array(i))
    heading = f"{split.name} {split.sample_id(i)}: {data.images.key(int(split.images(i)[0]))}"
    return Sample(heading, text, _label_text(data, split, i), images)


def _label_text(data: DataBin, split: Split, i: int) -> str:
    """Soft scores where there are answers, else the class."""
    labels = data.labels or []
    if "labels" in split.columns:
        pairs = zip(split.value("labels", i), split.value("scores", i), strict=True)
        return ", ".join(f"{labels[k]!r} {score:.1f}" for k, score in pairs) or "(no known answer)"
    if "label" in split.columns:
        return labels[split.value("label", i)]
    return ""


def _html(title: str, samples: list[Sample]) -> bytes:
    figures = []
    for sample in samples:
        pictures = "".join(f'<img src="data:image/jpeg;base64,{_base64(x)}" alt="">'
                           for x in sample.images)  # fmt: skip
        figures.append(
            f"<figure>{pictures}<figcaption>{html.escape(sample.text)}"
            f"<b>{html.escape(sample.label)}</b><small>{html.escape(sample.heading)}</small>"
            "</figcaption></figure>"
        )
    return PAGE.format(title=html.escape(title), figures="\n".join(figures)).encode()


def _base64(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()


def _png(title: str, samples: list[Sample]) -> bytes:
    columns = min(COLUMNS, len(samples))
    wide = max(len(sample.images) for sample in samples) * THUMB
    cell = (wide + 16, THUMB + TEXT_LINES * LINE + 16)
    rows = -(-len(samples) // columns)
    sheet = Image.new("RGB", (columns * cell[0] + 16, rows * cell[1] + 40), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    draw.text((16, 12), title, "black", font=ImageFont.load_default(16))
    for n, sample in enumerate(samples):
        x, y = 16 + (n % columns) * cell[0], 40 + (n // columns) * cell[1]
        for k, image in enumerate(sample.images):
            sheet.paste(image, (x + k * THUMB, y))
        parts = ((sample.text, "black"), (sample.label, "#0050a0"), (sample.heading, "#707070"))
        lines = [(line, colour) for text, colour in parts
                 for line in textwrap.wrap(text, CHARACTERS * wide // THUMB)]  # fmt: skip
        for k, (line, colour) in enumerate(lines[:TEXT_LINES]):
            draw.text((x, y + THUMB + 4 + k * LINE), line, colour, font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
