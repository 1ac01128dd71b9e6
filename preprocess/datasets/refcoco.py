"""RefCOCO and RefCOCO+: expressions that refer to one thing in a picture of COCO.

Boxes are (x, y, width, height) in pixels of a picture of ``image_size`` (height, width), whatever
``--resize`` makes of it. Proposals, among which grounding chooses (MAttNet; ALBEF's weakly
supervised grounding), are detections or the annotated boxes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.data.files import read_json
from mt_fairseq.errors import UserError
from preprocess.datasets.boxes import GROUND_TRUTH, Instances, Proposals
from preprocess.datasets.registry import Reader, register_reader
from preprocess.datasets.split_field import splits_among
from preprocess.fields import FieldFault, Fields, faults_as_records, fields_of
from preprocess.plain_pickle import read_plain_pickle
from preprocess.records import BadRecord, Ragged, Record

SPLITS = {"train": "train", "val": "valid", "testA": "testA", "testB": "testB"}
REFS = ("refs(unc).p", "refs(unc).json")
DETECTIONS = "dets.json"


@register_reader("refcoco")
class RefCoco(Reader):
    """A record an expression; ``ref_id`` groups those of one thing, ``image_id`` of a picture."""

    summary = "RefCOCO or RefCOCO+ (UNC's splits): expressions, boxes, proposals"
    source = (
        "https://github.com/lichengunc/refer; detections: https://github.com/lichengunc/MAttNet; "
        "pictures: https://cocodataset.org/#download (2014 train)"
    )
    layout: ClassVar[str] = """
        RAW/refs(unc).p  (a pickle of plain containers; refs(unc).json will do as well)
        RAW/instances.json  (boxes and picture names, of the same archive)
        RAW/dets.json  (optional: image id -> boxes, or MAttNet's list of detections)
        IMAGES/train2014/COCO_train2014_000000581857.jpg  (IMAGES is --image-root, else RAW)
    """

    def __init__(self, raw: Path, args: argparse.Namespace) -> None:
        super().__init__(raw, args)
        self.proposal_source: str | None = args.proposals
        if self.proposal_source is None and (raw / DETECTIONS).is_file():
            self.proposal_source = str(raw / DETECTIONS)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Where the proposals come from."""
        parser.add_argument(
            "--proposals",
            metavar="FILE",
            help=f"detections for the column `proposals`, or `{GROUND_TRUTH}` for the annotated "
            f"boxes of each picture (default: RAW/{DETECTIONS} if it is there, else none)",
        )

    def deciding(self, args: argparse.Namespace) -> dict[str, Any]:
        """The name of the proposals: a data-bin holds no path of the machine."""
        return {"proposals": self.proposal_source and Path(self.proposal_source).name}

    @cached_property
    def refs(self) -> list[Fields]:
        """All references; each has one or more expressions."""
        path = next((p for p in map(self.find, REFS) if p), None)
        if path is None:
            raise self.nothing_found()
        content = read_plain_pickle(path) if path.suffix == ".p" else read_json(path)
        if not isinstance(content, list):
            raise UserError(f"{path}: does not hold a list of references")
        return list(fields_of(content, "refs"))

    @cached_property
    def instances(self) -> Instances:
        """Boxes and pictures by id."""
        path = self.find("instances.json")
        if path is None:
            raise UserError(f"{self.raw / 'instances.json'}: missing; it holds the boxes")
        return Instances(path)

    @cached_property
    def proposals(self) -> Proposals | None:
        """Boxes to choose from, by picture."""
        if self.proposal_source is None:
            return None
        return Proposals(self.proposal_source, self.instances)

    def splits(self) -> list[str]:
        """Those that references belong to."""
        path = next((p for p in map(self.find, REFS) if p), None)
        return [] if path is None else splits_among(self.refs, SPLITS, path)

    def split_sources(self) -> dict[str, str]:
        """All four are in one file."""
        return dict.fromkeys(SPLITS.values(), REFS[0])

    def remark(self, split: str) -> str:
        """Which proposals there are."""
        source = self.proposal_source
        if source is None:
            return "without proposals"
        return "proposals: " + ("annotated boxes" if source == GROUND_TRUTH else Path(source).name)

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Expressions in the order of the file."""
        for ref in self.refs:
            yield from faults_as_records(self._expressions(ref, split))

    def _expressions(self, ref: Fields, split: str) -> Iterator[Record | BadRecord]:
        ref_id, ann_id, image_id = (ref.whole(name) for name in ("ref_id", "ann_id", "image_id"))
        name = ref.one_of("split", SPLITS)
        if SPLITS[name] != split:
            return
        if not ref.entries("sentences"):
            raise ref.fault("has no sentences")
        reason = self.instances.fault(ann_id, image_id)
        if reason is None and self.proposals is not None:
            reason = self.proposals.fault(image_id, name != "train")
        if reason is not None:
            raise FieldFault(f"ref {ref_id}", reason)
        picture = self.instances.pictures[image_id]
        extra: dict[str, Any] = {
            "ref_id": ref_id,
            "image_id": image_id,
            "box": self.instances.boxes[ann_id].numbers,
            "image_size": (picture.height, picture.width),
        }
        if self.proposals is not None:
            extra["proposals"] = Ragged(self.proposals.numbers(image_id))
        for sentence in ref.parts("sentences"):
            yield from faults_as_records(_expression(sentence, picture.file_name, extra))


def _expression(sentence: Fields, file_name: str, extra: dict[str, Any]) -> Iterator[Record]:
    sent_id, key = sentence.identity("sent_id"), f"train2014/{file_name}"
    yield Record(f"sentence {sent_id}", sent_id, sentence.text("sent"), (key,), extra=extra)
