"""What every layout needs: files written the same each time, and pictures with their scenes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from examples.demo.world.render import encode, render
from examples.demo.world.scene import Scene

LICENSE = {
    "id": 4,
    "name": "Attribution License",
    "url": "http://creativecommons.org/licenses/by/2.0/",
}
INFO = {
    "description": "A small world of digits and shapes, made by examples.demo.world",
    "version": "1.0",
    "year": 2024,
    "contributor": "mt_fairseq",
    "date_created": "2024-01-01 00:00:00",
}
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Picture:
    """A scene with the number of its image and the file that holds it (relative to the root)."""

    image_id: int
    file: str
    scene: Scene


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_json_lines(path: Path, records: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(r, ensure_ascii=False) for r in records)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_pictures(root: Path, pictures: Iterable[Picture], progress: Progress) -> None:
    """Draw each scene into its file."""
    for picture in pictures:
        path = root / picture.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(render(picture.scene), path.suffix))
        progress(1)


def scene_record(picture: Picture) -> dict[str, Any]:
    """The truth about one image file, for people and tests; no official file holds it."""
    return {"file": picture.file, "image_id": picture.image_id, **asdict(picture.scene)}


def tokens(sentence: str) -> list[str]:
    """Lower-case words without punctuation, as Karpathy's files hold them."""
    return re.findall(r"[a-z0-9]+", sentence.lower())
