"""SBU Captions: a million Flickr pictures with their owners' captions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.data.files import text_lines
from mt_fairseq.errors import UserError
from preprocess.datasets.registry import register_reader
from preprocess.datasets.web_captions import CAPTION, URL, WebCaptions
from preprocess.fields import Fields
from preprocess.json_stream import stream_list

JSON = "sbu-captions-all.json"
CAPTIONS = "SBU_captioned_photo_dataset_captions.txt"
URLS = "SBU_captioned_photo_dataset_urls.txt"


@register_reader("sbu")
class Sbu(WebCaptions):
    """One split; lines with the same address share their picture."""

    summary = "SBU Captions: official JSON or text files, pictures that you downloaded"
    source = (
        "https://www.cs.rice.edu/~vo9/sbucaptions (sbu-captions-all.tar.gz or the older "
        "SBUCaptionedPhotoDataset.tar.gz); the pictures by a downloader of yours"
    )
    layout: ClassVar[str] = """
        RAW/sbu-captions-all.json  (lists "captions" and "image_urls"; taken if it is there), or
        RAW/SBU_captioned_photo_dataset_{captions,urls}.txt  (line by line)
        IMAGES/4385058960_b0f291553e.jpg  (IMAGES is --image-root, else RAW)
    """
    pattern = "{name}"

    def splits(self) -> list[str]:
        """Only train."""
        return ["train"] if self.find(JSON) or self.find(CAPTIONS) else []

    def lines(self, split: str) -> Iterator[Fields]:
        """Captions beside addresses; UserError if there are more of one than of the other."""
        path = self.find(JSON) or self.find(CAPTIONS)
        if path is None:
            raise self.nothing_found()
        captions, urls = self._both(path)
        missing = object()
        for number, pair in enumerate(zip_longest(captions, urls, fillvalue=missing)):
            if missing in pair:
                raise UserError(f"{path}: holds not as many captions as addresses ({number} of "
                                "the fewer)")  # fmt: skip
            broken = "is not UTF-8 text" if path.name != JSON and None in pair else None
            content = dict(zip((CAPTION, URL), pair, strict=True))
            yield Fields(content, f"{path.name} line {number}", broken)

    def _both(self, path: Path) -> tuple[Iterator[Any], Iterator[Any]]:
        """Captions and addresses; of the text files, None for a line that is not UTF-8."""
        if path.name == JSON:
            return stream_list(path, "captions"), stream_list(path, "image_urls")
        return text_lines(path), text_lines(self._urls(path))

    def _urls(self, captions: Path) -> Path:
        path = captions.with_name(URLS)
        if not path.is_file():
            raise UserError(f"{path}: missing; it holds the addresses of {CAPTIONS}")
        return path
