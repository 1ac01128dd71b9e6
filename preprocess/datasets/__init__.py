"""One module a dataset; importing this package registers them all."""

from preprocess.datasets import coco, jsonl, vqav2
from preprocess.datasets.registry import READERS, Reader, register_reader

__all__ = ["READERS", "Reader", "coco", "jsonl", "register_reader", "vqav2"]
