"""A page of the samples on which two runs got different credit, for a person to look at."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from pathlib import Path
from typing import Any

from mt_fairseq.data.answers import shown_answer
from mt_fairseq.data.files import write_text
from mt_fairseq.data.images import ImageStore
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.runs import Record, RunPair, name_of, sample_key

THUMB = 224  # pixels of the longer side
RANKED = 3  # items shown of a ranked list

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 1.5em; }}
figure {{ margin: 0; }} img {{ max-width: 100%; height: auto; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0 .6em; margin: .3em 0; }}
dt {{ color: #666; }} dd {{ margin: 0; overflow-wrap: anywhere; }} small {{ color: #666; }}
.won {{ font-weight: bold; }}
</style></head><body><h1>{title}</h1>
<p>A: {a}<br>B: {b}</p>
{sections}
</body></html>
"""

Flip = tuple[Record, Record]


def write_flips(
    pair: RunPair, path: Path, limit: int, images: ImageStore | None = None
) -> tuple[int, int]:
    """Write the page: what B lost first, then what it won, the largest steps first.

    Args:
        pair: the two runs.
        path: of the page; nothing of it is read from anywhere else.
        limit: samples on the page, shared by losses and gains in proportion.
        images: of the data-bin, for thumbnails.

    Returns the number of samples shown and of those that flipped. Raises UserError if the data-bin
    holds none of the pictures.
    """
    flips = sorted(zip(pair.first, pair.second, strict=True), key=_step)
    losses = [flip for flip in flips if _step(flip) < 0]
    gains = [flip for flip in reversed(flips) if _step(flip) > 0]
    total = len(losses) + len(gains)
    share = len(losses) if total <= limit else round(limit * len(losses) / total)
    shown = {"Worse in B": losses[:share], "Better in B": gains[: limit - share]}
    pictures = _find_pictures([flip for part in shown.values() for flip in part], images)
    sections = [
        f"<h2>{name}: {len(part)} of {len(every)}</h2><main>"
        + "\n".join(_figure(flip, pictures) for flip in part)
        + "</main>"
        for (name, part), every in zip(shown.items(), (losses, gains), strict=True)
    ]
    title = f"Flipped samples: {pair.a.score.get('task')}, {pair.a.score.get('split')}"
    write_text(
        path,
        PAGE.format(
            title=html.escape(title),
            a=html.escape(f"{pair.a.folder} ({pair.a.score.get('checkpoint')})"),
            b=html.escape(f"{pair.b.folder} ({pair.b.score.get('checkpoint')})"),
            sections="\n".join(sections),
        ),
    )
    return sum(map(len, shown.values())), total


def _step(flip: Flip) -> float:
    return float(flip[1]["credit"]) - float(flip[0]["credit"])


def _keys(record: Record) -> list[str]:
    image = record.get("image") or []
    return [str(key) for key in image] if isinstance(image, list) else [str(image)]


def _find_pictures(flips: list[Flip], images: ImageStore | None) -> dict[str, str]:
    """Image key -> thumbnail as base64, of those that the flips name."""
    wanted = {key for first, _ in flips for key in _keys(first)}
    found: dict[str, str] = {}
    if images is None or not wanted:
        return found
    for number in range(len(images)):
        key = images.key(number)
        if key in wanted:
            found[key] = _thumbnail(images, number)
            if len(found) == len(wanted):
                break
    if not found:
        raise UserError(
            "--data: holds none of the results' pictures; is it what they were made on?"
        )
    return found


def _thumbnail(images: ImageStore, number: int) -> str:
    image = images.image(number, min_side=THUMB)
    image.thumbnail((THUMB, THUMB))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()


def _figure(flip: Flip, pictures: dict[str, str]) -> str:
    first, second = flip
    drawn = "".join(
        f'<img src="data:image/jpeg;base64,{pictures[key]}" alt="">'
        for key in _keys(first)
        if key in pictures
    )
    won = _step(flip) > 0
    rows = [_row("A", first, not won), _row("B", second, won)]
    rows.append(f"<dt>true</dt><dd>{html.escape(_shown(first.get('reference')))}</dd>")
    source = f"{name_of(sample_key(first))}: {', '.join(_keys(first))}"
    return (
        f"<figure>{drawn}<figcaption>{html.escape(_shown(first.get('text')))}"
        f"<dl>{''.join(rows)}</dl><small>{html.escape(source)}</small></figcaption></figure>"
    )


def _row(name: str, record: Record, won: bool) -> str:
    text = html.escape(f"{_shown(record['prediction'])} ({float(record['credit']):.2f})")
    mark = ' class="won"' if won else ""
    return f"<dt>{name}</dt><dd{mark}>{text}</dd>"


def _shown(value: Any) -> str:
    """Text of a field: annotators' answers with how often each was given, the top of a ranking."""
    if value is None:
        return ""
    if not isinstance(value, list):
        return shown_answer(str(value))
    texts = [shown_answer(str(each)) for each in value]
    counted = Counter(texts).most_common()
    if len(counted) < len(value):
        return ", ".join(text if times == 1 else f"{text} ×{times}" for text, times in counted)
    return ", ".join(texts[:RANKED]) + (", ..." if len(value) > RANKED else "")
