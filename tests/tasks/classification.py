"""Data-bins of SNLI-VE and NLVR2 for tests, and the official NLVR2 script's rules in short."""

from __future__ import annotations

import json
from pathlib import Path

from examples.demo.world.write import WorldConfig, write_world
from preprocess.__main__ import main as preprocess

SMALL = WorldConfig(seed=3, train=30, held_out=12, datasets=("snli_ve", "nlvr2"))
PICTURES = {"snli_ve": "flickr30k", "nlvr2": "nlvr2"}


def build(task: str, raw: Path, pictures: Path, dest: Path) -> Path:
    """Preprocess a dataset; a tokenizer of its own."""
    preprocess(
        [task, "--raw", str(raw), "--image-root", str(pictures), "--dest", str(dest),
         "--vocab-size", "100", "--resize", "32", "--workers", "1"]
    )  # fmt: skip
    return dest


def demonstration_bins(folder: Path) -> dict[str, Path]:
    """A data-bin of each task, from the small world."""
    write_world(folder / "raw", SMALL, lambda *_: None)
    return {
        task: build(task, folder / "raw" / task, folder / "raw" / PICTURES[task], folder / task)
        for task in PICTURES
    }


def score_csv(path: Path, lines: list[dict[str, str]]) -> tuple[float, float]:
    """Accuracy and consistency in percent of a submission, as the official script counts them."""
    predicted = dict(line.split(",") for line in path.read_text().splitlines())
    assert len(predicted) == len(lines)
    right = {x["identifier"]: predicted[x["identifier"]] == x["label"] for x in lines}
    sentences: dict[tuple[str, str], list[bool]] = {}
    for identifier, value in right.items():
        _, group, _, sentence = identifier.split("-")
        sentences.setdefault((group, sentence), []).append(value)
    consistent = [all(values) for values in sentences.values()]
    return 100 * sum(right.values()) / len(right), 100 * sum(consistent) / len(consistent)


def json_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
