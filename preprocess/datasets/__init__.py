"""One module a dataset; importing this package registers them all."""

from preprocess.datasets import (
    cc,
    coco,
    flickr30k,
    jsonl,
    nlvr2,
    refcoco,
    sbu,
    snli_ve,
    vg,
    vgqa,
    vqav2,
)
from preprocess.datasets.registry import READERS, Reader, register_reader

__all__ = [
    "READERS",
    "Reader",
    "cc",
    "coco",
    "flickr30k",
    "jsonl",
    "nlvr2",
    "refcoco",
    "register_reader",
    "sbu",
    "snli_ve",
    "vg",
    "vgqa",
    "vqav2",
]
