"""Boxes of COCO's ``instances.json`` and of detection files, checked against their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import read_json
from mt_fairseq.errors import UserError
from preprocess.column_kinds import value_fault
from preprocess.fields import FieldFault, Fields, fields_of
from preprocess.json_stream import stream_list
from preprocess.lookup import Lookup
from preprocess.shown import shown

GROUND_TRUTH = "ground-truth"
SLACK = 1.0
"""Pixels that a box may reach over the edge: annotations and detectors round."""

Numbers = tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """Name and size in pixels."""

    file_name: str
    height: int
    width: int


@dataclass(frozen=True)
class Box:
    """(x, y, width, height) on a picture."""

    image_id: int
    numbers: Numbers


class Instances:
    """Pictures and annotated boxes of an ``instances.json``, by id."""

    def __init__(self, path: Path) -> None:
        pictures, boxes = (fields_of(stream_list(path, name), f"{path.name}: {name}")
                           for name in ("images", "annotations"))  # fmt: skip
        self.pictures = Lookup(path.name, pictures, _picture)
        self.boxes = Lookup(path.name, boxes, _box)

    def fault(self, annotation_id: int, image_id: int) -> str | None:
        """Why an annotation cannot be used as the box of something on a picture, or None."""
        if image_id not in self.pictures:
            return f"its picture {image_id} {self.pictures.lacks_it}"
        if annotation_id not in self.boxes:
            return f"its annotation {annotation_id} {self.boxes.lacks_it}"
        box = self.boxes[annotation_id]
        if box.image_id != image_id:
            return f"its annotation {annotation_id} is of picture {box.image_id}, not {image_id}"
        return box_fault("its box", box.numbers, self.pictures[image_id])

    def by_picture(self) -> dict[str, list[Numbers]]:
        """All annotated boxes of each picture."""
        found: dict[str, list[Numbers]] = {}
        for box in self.boxes.found.values():
            found.setdefault(str(box.image_id), []).append(box.numbers)
        return found


class Proposals:
    """Boxes of each picture to choose from.

    Args:
        source: a JSON file, ``{image id: [[x, y, width, height, ...], ...]}`` or MAttNet's list of
            ``{"image_id", "box", ...}``; or ``ground-truth``.
    """

    def __init__(self, source: str, instances: Instances) -> None:
        self.instances = instances
        self.name = source if source == GROUND_TRUTH else Path(source).name
        self.boxes = (
            instances.by_picture() if source == GROUND_TRUTH else read_detections(Path(source))
        )

    def fault(self, image_id: int, needed: bool) -> str | None:
        """Why the proposals of a picture cannot be used, or None."""
        boxes = self.boxes.get(str(image_id), [])
        if needed and not boxes:
            return f"its picture {image_id} has no proposals in {self.name}"
        picture = self.instances.pictures[image_id]
        faults = (box_fault(f"its proposal {i} in {self.name}", box, picture)
                  for i, box in enumerate(boxes))  # fmt: skip
        return next((fault for fault in faults if fault), None)

    def numbers(self, image_id: int) -> list[float]:
        """(4 n,) the boxes of a picture one after another."""
        return [number for box in self.boxes.get(str(image_id), []) for number in box]


def read_detections(path: Path) -> dict[str, list[Numbers]]:
    """Boxes by picture, the id as text; UserError for a file with any other content."""
    content = read_json(path)
    if not isinstance(content, (dict, list)):
        raise UserError(f"{path}: neither an object nor a list of detections")
    found: dict[str, list[Numbers]] = {}
    try:
        for image_id, box in _by_picture(content) if isinstance(content, dict) else _all(content):
            found.setdefault(image_id, []).append(box)
    except FieldFault as fault:
        raise UserError(f"{path}: {fault}") from fault
    return found


def _by_picture(content: dict[str, Any]) -> Iterator[tuple[str, Numbers]]:
    for image_id in content:
        where = f"picture {image_id}"
        for box in Fields(content, where).entries(image_id):
            yield image_id, box_of(Fields({"box": box}, where), "box")


def _all(content: list[Any]) -> Iterator[tuple[str, Numbers]]:
    for entry in fields_of(content, "detections"):
        yield str(entry.identity("image_id")), box_of(entry, "box")


def _picture(entry: Fields) -> tuple[int, Picture]:
    height, width = (entry.whole(name, least=1) for name in ("height", "width"))
    return entry.whole("id"), Picture(entry.text("file_name"), height, width)


def _box(entry: Fields) -> tuple[int, Box]:
    return entry.whole("id"), Box(entry.whole("image_id"), box_of(entry, "bbox"))


def box_of(entry: Fields, name: str) -> Numbers:
    """The first four numbers of a list (a score may follow)."""
    value = entry.value(name)
    four = value[:4] if isinstance(value, list) else []
    if len(four) < 4 or not all(map(_is_number, four)) or value_fault(four):
        raise entry.fault(f'"{name}" is not a box of four numbers: {shown(value)}')
    x, y, width, height = map(float, four)
    return x, y, width, height


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def box_fault(what: str, box: Numbers, picture: Picture) -> str | None:
    """Why a box is none of a picture, or None."""
    x, y, width, height = box
    if not (width > 0 and height > 0):
        return f"{what} {list(box)} is empty"
    if (min(x, y) < -SLACK or x + width > picture.width + SLACK
            or y + height > picture.height + SLACK):  # fmt: skip
        return f"{what} {list(box)} reaches out of the picture ({picture.width} x {picture.height})"
    return None
