"""One module a dataset; importing this package registers them all."""

from preprocess.datasets import coco, flickr30k, jsonl, nlvr2, refcoco, snli_ve, vqav2
from preprocess.datasets.registry import READERS, Reader, register_reader

__all__ = [
    "READERS",
    "Reader",
    "coco",
    "flickr30k",
    "jsonl",
    "nlvr2",
    "refcoco",
    "register_reader",
    "snli_ve",
    "vqav2",
]
