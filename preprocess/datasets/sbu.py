"""SBU Captions: a million Flickr pictures with their owners' captions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar

from mt_fairseq.errors import UserError
from preprocess.datasets.registry import register_reader
from preprocess.datasets.web_captions import Line, WebCaptions, decoded, text_lines
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

    def lines(self, split: str) -> Iterator[tuple[str, Line | str]]:
        """Captions beside addresses; UserError if there are more of one than of the other."""
        json_file, text_file = self.find(JSON), self.find(CAPTIONS)
        if json_file is not None:
            captions, urls = (stream_list(json_file, key) for key in ("captions", "image_urls"))
            path = json_file
        elif text_file is not None:
            captions, urls, path = _text(text_file), _text(self._urls(text_file)), text_file
        else:
            raise self.nothing_found()
        missing = object()
        for number, pair in enumerate(zip_longest(captions, urls, fillvalue=missing)):
            if missing in pair:
                raise UserError(f"{path}: holds not as many captions as addresses ({number} of "
                                "the fewer)")  # fmt: skip
            yield f"{path.name} line {number}", _line(*pair)

    def _urls(self, captions: Path) -> Path:
        path = captions.with_name(URLS)
        if not path.is_file():
            raise UserError(f"{path}: missing; it holds the addresses of {CAPTIONS}")
        return path


def _text(path: Path) -> Iterator[str | None]:
    return (decoded(line) for line in text_lines(path))


def _line(caption: Any, url: Any) -> Line | str:
    if not isinstance(caption, str) or not isinstance(url, str):
        return "its caption or its address is no text"
    return Line(caption, url)
