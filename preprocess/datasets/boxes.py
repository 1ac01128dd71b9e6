"""Boxes of COCO's ``instances.json`` and of detection files, checked against their pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import read_json
from mt_fairseq.errors import UserError
from preprocess.datasets.registry import missing_field
from preprocess.json_stream import stream_list

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

    image_id: Any
    numbers: Numbers


class Instances:
    """Pictures and annotated boxes of an ``instances.json``, by id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pictures: dict[Any, Picture] = {}
        self.boxes: dict[Any, Box] = {}
        for i, item in enumerate(stream_list(path, "images")):
            _must_have(path, f"images[{i}]", item, "id", "file_name", "height", "width")
            self.pictures[item["id"]] = Picture(item["file_name"], item["height"], item["width"])
        for i, item in enumerate(stream_list(path, "annotations")):
            _must_have(path, f"annotations[{i}]", item, "id", "image_id", "bbox")
            numbers = box_numbers(item["bbox"])
            if numbers is not None:
                self.boxes[item["id"]] = Box(item["image_id"], numbers)

    def fault(self, annotation_id: Any, image_id: Any) -> str | None:
        """Why an annotation cannot be used as the box of something on a picture, or None."""
        if image_id not in self.pictures:
            return f"its picture {image_id} is not in {self.path.name}"
        if annotation_id not in self.boxes:
            return f"its annotation {annotation_id} is not in {self.path.name}, or has no box"
        box = self.boxes[annotation_id]
        if box.image_id != image_id:
            return f"its annotation {annotation_id} is of picture {box.image_id}, not {image_id}"
        return box_fault("its box", box.numbers, self.pictures[image_id])

    def by_picture(self) -> dict[str, list[Numbers]]:
        """All annotated boxes of each picture."""
        found: dict[str, list[Numbers]] = {}
        for box in self.boxes.values():
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

    def fault(self, image_id: Any, needed: bool) -> str | None:
        """Why the proposals of a picture cannot be used, or None."""
        boxes = self.boxes.get(str(image_id), [])
        if needed and not boxes:
            return f"its picture {image_id} has no proposals in {self.name}"
        picture = self.instances.pictures[image_id]
        faults = (box_fault(f"its proposal {i} in {self.name}", box, picture)
                  for i, box in enumerate(boxes))  # fmt: skip
        return next((fault for fault in faults if fault), None)

    def numbers(self, image_id: Any) -> list[float]:
        """(4 n,) the boxes of a picture one after another."""
        return [number for box in self.boxes.get(str(image_id), []) for number in box]


def read_detections(path: Path) -> dict[str, list[Numbers]]:
    """Boxes by picture, the id as text."""
    content = read_json(path)
    found: dict[str, list[Numbers]] = {}
    if isinstance(content, dict):
        pairs = [(image_id, box) for image_id, boxes in content.items()
                 for box in (boxes if isinstance(boxes, list) else [boxes])]  # fmt: skip
    elif isinstance(content, list):
        for i, item in enumerate(content):
            _must_have(path, f"[{i}]", item, "image_id", "box")
        pairs = [(item["image_id"], item["box"]) for item in content]
    else:
        raise UserError(f"{path}: neither an object nor a list of detections")
    for image_id, box in pairs:
        numbers = box_numbers(box)
        if numbers is None:
            raise UserError(f"{path}: picture {image_id}: {box!r} is no box of four numbers")
        found.setdefault(str(image_id), []).append(numbers)
    return found


def box_numbers(value: Any) -> Numbers | None:
    """The first four numbers (a score may follow), or None if there are none."""
    if not isinstance(value, list) or len(value) < 4:
        return None
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in value[:4]):
        return None
    x, y, width, height = map(float, value[:4])
    return x, y, width, height


def box_fault(what: str, box: Numbers, picture: Picture) -> str | None:
    """Why a box is none of a picture, or None."""
    x, y, width, height = box
    if not (width > 0 and height > 0):
        return f"{what} {list(box)} is empty"
    if (min(x, y) < -SLACK or x + width > picture.width + SLACK
            or y + height > picture.height + SLACK):  # fmt: skip
        return f"{what} {list(box)} reaches out of the picture ({picture.width} x {picture.height})"
    return None


def _must_have(path: Path, where: str, item: Any, *names: str) -> None:
    reason = missing_field(item, *names)
    if reason:
        raise UserError(f"{path}: {where} {reason}")
