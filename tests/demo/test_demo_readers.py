"""Every layout that the small world is written in goes through its reader without a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from preprocess.__main__ import main

DATASETS = {
    "coco": ("coco", "coco"), "vqav2": ("vqav2", "coco"), "snli_ve": ("snli_ve", "flickr30k"),
    "flickr30k": ("flickr30k", "flickr30k"), "nlvr2": ("nlvr2", "nlvr2"),
    "refcoco": ("refcoco", "coco"), "refcoco+": ("refcoco", "coco"),
}  # fmt: skip
SPLITS = {
    "nlvr2": {"train", "valid", "test"} | {f"{split}-{kind}" for split in ("valid", "test")
                                           for kind in ("balanced", "unbalanced")},
    "refcoco": {"train", "valid", "testA", "testB"},
}  # fmt: skip


@pytest.mark.parametrize("folder", DATASETS)
def test_reader(world: Path, folder: str, tmp_path: Path) -> None:
    dataset, pictures = DATASETS[folder]
    main([dataset, "--raw", str(world / folder), "--image-root", str(world / pictures), "--workers",
          "1", "--dest", str(tmp_path / "bin"), "--vocab-size", "150"])  # fmt: skip
    data = DataBin(tmp_path / "bin")
    assert set(data.splits) == SPLITS.get(dataset, {"train", "valid", "test"})
    scenes = [json.loads(line) for line in (world / "scenes.jsonl").read_text().splitlines()]
    known = {scene["file"].partition("/")[2] for scene in scenes}
    for name in data.splits:
        split = data.split(name)
        assert data.metadata["splits"][name]["skipped"] == []
        assert {data.images.key(int(i)) for i in split.image_column.ravel()} <= known
    if data.labels is not None and dataset != "vqav2":
        assert set(data.split("test").array("label").tolist()) == set(range(len(data.labels)))
    if dataset == "refcoco":
        assert len(data.split("testA").value("proposals", 0)) % 4 == 0
