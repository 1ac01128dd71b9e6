"""Write the whole world: every dataset's official layout under one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from examples.demo.world.layouts.coco import coco_pictures, write_captions
from examples.demo.world.layouts.common import (
    Picture,
    scene_record,
    write_json,
    write_json_lines,
    write_pictures,
)
from examples.demo.world.layouts.flickr30k import flickr_pictures, write_flickr
from examples.demo.world.layouts.nlvr2 import nlvr2_pictures, nlvr2_sets, write_nlvr2
from examples.demo.world.layouts.refcoco import ref_pictures, write_ref
from examples.demo.world.layouts.snli_ve import write_snli_ve
from examples.demo.world.layouts.vqav2 import write_vqa
from mt_fairseq.errors import UserError

WORLD_VERSION = 3
COCO = ("coco", "vqav2", "refcoco")  # these share the folder of COCO pictures
DATASETS = (*COCO, "flickr30k", "snli_ve", "nlvr2")


@dataclass(frozen=True)
class WorldConfig:
    """How large a world; a part is about a tenth of ``train`` unless said otherwise."""

    seed: int = 1
    train: int = 6000  # pictures of train2014
    held_out: int = 600  # pictures each of val2014 and test2015
    questions: int = 6  # a picture
    datasets: tuple[str, ...] = DATASETS

    def validate(self) -> None:
        """UserError for sizes below the least that fill every split, and for unknown names."""
        unknown = sorted(set(self.datasets) - set(DATASETS))
        if unknown:
            raise UserError(
                f"--datasets: {', '.join(unknown)} unknown; choose from {', '.join(DATASETS)}"
            )
        for name, least in (("train", 1), ("held_out", 2), ("questions", 1)):
            if getattr(self, name) < least:
                option = name.replace("_", "-")
                raise UserError(f"--{option} {getattr(self, name)}: must be at least {least}")
        if self.questions > 8:
            raise UserError(f"--questions {self.questions}: at most 8 differ for every picture")


def write_world(out: Path, config: WorldConfig, progress: Callable[[str, int, int], None]) -> bool:
    """Write the world to ``out``; False if the same world lies there already.

    Files appear under ``out`` only when all are written. ``progress(dataset, done, total)`` is
    called for each picture. Raises UserError if ``out`` holds anything else.
    """
    config.validate()
    wanted = {"version": WORLD_VERSION, **asdict(config), "datasets": sorted(config.datasets)}
    marker = out / "world.json"
    if marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == wanted:
        return False
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and holds something else; remove it or choose another --out")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    scenes: list[Picture] = []
    if set(COCO) & set(config.datasets):
        scenes += _coco_family(partial, config, progress)
    if {"flickr30k", "snli_ve"} & set(config.datasets):
        scenes += _flickr_family(partial, config, progress)
    if "nlvr2" in config.datasets:
        scenes += _nlvr2(partial, config, progress)
    write_json_lines(partial / "scenes.jsonl", (scene_record(p) for p in scenes))
    write_json(partial / "world.json", wanted)
    if out.exists():
        out.rmdir()
    partial.rename(out)
    return True


def _rooted(pictures: list[Picture], folder: str) -> list[Picture]:
    """The same pictures with files named from the root of the world."""
    return [Picture(p.image_id, f"{folder}/{p.file}", p.scene) for p in pictures]


def _draw(
    out: Path, pictures: list[Picture], name: str, progress: Callable[[str, int, int], None]
) -> list[Picture]:
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(name, done, len(pictures))

    write_pictures(out, pictures, step)
    return pictures


def _coco_family(
    out: Path, config: WorldConfig, progress: Callable[[str, int, int], None]
) -> list[Picture]:
    """coco/ (captions and pictures), vqav2/ (questions), refcoco/ and refcoco+/ (boxes)."""
    sizes = {"train2014": config.train, "val2014": config.held_out, "test2015": config.held_out}
    parts: dict[str, list[Picture]] = {}
    next_id = 1
    for part, count in sizes.items():
        parts[part] = coco_pictures(config.seed, part, count, next_id)
        next_id += count
    write_captions(out / "coco", config.seed, parts)
    if "vqav2" in config.datasets:
        kept_back = out / "vqav2_test_answers"
        write_vqa(out / "vqav2", kept_back, config.seed, parts, config.questions)
    pictures = [p for part in parts.values() for p in part]
    if "refcoco" in config.datasets:
        small = max(2, config.held_out // 4)
        counts = {"train": max(2, config.train // 4), "val": small, "testA": small, "testB": small}
        splits = ref_pictures(config.seed, counts, next_id)
        write_ref(out / "refcoco", config.seed, splits, places=True)
        write_ref(out / "refcoco+", config.seed, splits, places=False)
        pictures += [p for split in splits.values() for p in split]
    return _draw(out, _rooted(pictures, "coco"), "coco", progress)


def _flickr_family(
    out: Path, config: WorldConfig, progress: Callable[[str, int, int], None]
) -> list[Picture]:
    """flickr30k/ and, over its pictures, snli_ve/."""
    small = max(2, config.held_out // 2)
    counts = {"train": max(2, config.train // 3), "val": small, "test": small}
    pictures = flickr_pictures(config.seed, counts)
    write_flickr(out / "flickr30k", config.seed, pictures)
    if "snli_ve" in config.datasets:
        write_snli_ve(out / "snli_ve", config.seed, pictures)
    return _draw(out, _rooted(pictures, "flickr30k"), "flickr30k", progress)


def _nlvr2(
    out: Path, config: WorldConfig, progress: Callable[[str, int, int], None]
) -> list[Picture]:
    """nlvr2/: sentences and pairs."""
    small = max(2, config.held_out // 6)
    counts = {"train": max(2, config.train // 5), "dev": small, "test1": small}
    sets = nlvr2_sets(config.seed, counts)
    write_nlvr2(out / "nlvr2", config.seed, sets)
    return _draw(out, _rooted(nlvr2_pictures(sets), "nlvr2"), "nlvr2", progress)
