"""Visual Genome's region descriptions as captions of the whole picture.

A text that occurs twice for the same picture is taken once (ManagerTower's Table 4; METER and ViLT
take the set of a picture's texts): 5.4 million descriptions become 4.8 million.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from preprocess.datasets.registry import register_reader
from preprocess.datasets.visual_genome import SITE, GenomeReader, genome_key
from preprocess.fields import Fields, faults_as_records, fields_of
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
        for picture in fields_of(stream_list(path, None), f"{path.name}: "):
            yield from faults_as_records(self._regions(picture))

    def _regions(self, picture: Fields) -> Iterator[Record | BadRecord]:
        image_id = picture.whole("id")
        seen: set[str] = set()
        for region in picture.parts("regions"):
            yield from faults_as_records(self._region(region, image_id, seen))

    def _region(self, region: Fields, image_id: int, seen: set[str]) -> Iterator[Record]:
        """One description, unless it was ``seen``."""
        region_id, text = region.identity("region_id"), region.text("phrase").strip()
        if text in seen:
            self.repeated += 1
            return
        seen.add(text)
        images, extra = (genome_key(image_id),), {"image_id": image_id}
        yield Record(f"region {region_id}", region_id, text, images, extra=extra)
