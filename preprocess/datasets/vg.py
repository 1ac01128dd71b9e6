"""Visual Genome's region descriptions as captions of the whole picture.

A text that occurs twice for the same picture is taken once (ManagerTower's Table 4; METER and ViLT
take the set of a picture's texts): 5.4 million descriptions become 4.8 million.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from preprocess.datasets.registry import missing_field, register_reader
from preprocess.datasets.visual_genome import SITE, GenomeReader, genome_key, number_fault
from preprocess.json_stream import stream_list
from preprocess.records import BadRecord, Record

FILE = "region_descriptions.json"


@register_reader("vg")
class VisualGenome(GenomeReader):
    """A record a region; ``image_id`` groups those of a picture."""

    summary = "Visual Genome captions: region descriptions, duplicates of a picture removed"
    source = f"{SITE} (region descriptions and the two parts of the images)"
    layout: ClassVar[str] = """
        RAW/region_descriptions.json  (RAW/annotations/ will do as well)
        IMAGES/VG_100K/2.jpg  (IMAGES is --image-root, else RAW; IMAGES/images/ will do as well)
        IMAGES/VG_100K_2/1.jpg
    """
    repeated = 0

    def splits(self) -> list[str]:
        """Only train."""
        return ["train"] if self.find(FILE) else []

    def remark(self, split: str) -> str | None:
        """How many texts were taken once."""
        return f"{self.repeated:,} repeated descriptions of the same picture taken once"

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        """Regions in the order of the file."""
        path = self.find(FILE)
        if path is None:
            raise self.nothing_found()
        self.repeated = 0
        for i, item in enumerate(stream_list(path, None)):
            reason = missing_field(item, "id", "regions") or number_fault(item, "id")
            if reason:
                yield BadRecord(f"{path.name}: [{i}]", reason)
            else:
                yield from self._regions(item, f"{path.name}: [{i}]")

    def _regions(self, item: dict[str, Any], where: str) -> Iterator[Record | BadRecord]:
        seen: set[Any] = set()
        for j, region in enumerate(item["regions"]):
            reason = missing_field(region, "region_id", "phrase")
            if reason:
                yield BadRecord(f"{where}.regions[{j}]", reason)
            elif isinstance(region["phrase"], str) and region["phrase"].strip() in seen:
                self.repeated += 1
            else:
                text = region["phrase"]
                if isinstance(text, str):
                    text = text.strip()
                    seen.add(text)
                yield Record(f"region {region['region_id']}", region["region_id"], text,
                             (genome_key(item["id"]),), extra={"image_id": item["id"]})  # fmt: skip
