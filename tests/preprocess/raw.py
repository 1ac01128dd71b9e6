"""Small raw datasets in official layouts, with real picture files of several kinds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from preprocess.__main__ import main

COLOURS = ["red", "green", "blue", "yellow"]


def save_picture(path: Path, seed: int) -> None:
    """A JPEG (or PNG or greyscale JPEG) whose size and content depend on ``seed``."""
    rng = np.random.default_rng(seed)
    height, width = 24 + seed % 17, 32 + seed % 11
    pixels = rng.integers(0, 255, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels).convert("L" if seed % 5 == 4 else "RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG" if seed % 7 == 6 else "JPEG")


def write_vqa(raw: Path, images: int = 12, questions: int = 3, test: bool = True) -> Path:
    """VQA v2 with ``images`` train pictures and a third as many in val and test."""
    sets = [("train2014", "train2014", images), ("val2014", "val2014", images // 3)]
    if test:
        sets += [("test2015", "test2015", images // 3), ("test-dev2015", "test2015", 1)]
    for subset, folder, count in sets:
        asked, annotated = [], []
        for image in range(count):
            save_picture(raw / folder / f"COCO_{folder}_{image:012d}.jpg", image)
            for k in range(questions):
                colour = COLOURS[(image + k) % 4]
                question_id = image * 1000 + k
                question = f"What colour is thing {k}, number {image}?"
                asked.append({"image_id": image, "question_id": question_id, "question": question})
                answers = [colour] * 7 + ["not sure", "none", colour.upper()]
                annotated.append({
                    "question_id": question_id, "image_id": image, "question_type": "what colour",
                    "answer_type": "other", "multiple_choice_answer": colour,
                    "answers": [{"answer": a, "answer_id": i + 1, "answer_confidence": "yes"}
                                for i, a in enumerate(answers)]})  # fmt: skip
        dump(raw / f"v2_OpenEnded_mscoco_{subset}_questions.json", {"questions": asked})
        if "test" not in subset:
            dump(raw / f"v2_mscoco_{subset}_annotations.json", {"annotations": annotated})
    return raw


def write_jsonl(raw: Path, rows: list[dict[str, Any]], split: str = "train") -> Path:
    """A folder with one split and every picture that its rows name."""
    raw.mkdir(parents=True, exist_ok=True)
    names = {name for row in rows for name in [*row.get("images", []), row.get("image")] if name}
    for i, name in enumerate(sorted(names)):
        save_picture(raw / name, i)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (raw / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return raw


def captions(count: int) -> list[dict[str, Any]]:
    """Rows of a caption dataset."""
    return [{"image": f"{i:03d}.jpg", "text": f"A {COLOURS[i % 4]} thing, number {i}."}
            for i in range(count)]  # fmt: skip


def dump(path: Path, value: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def build(dataset: str, raw: Path, dest: Path, *options: object) -> Path:
    """Run the command with a small tokenizer, in this process."""
    given = [str(option) for option in options]
    sizes = [] if "--vocab-size" in given or "--tokenizer" in given else ["--vocab-size", "100"]
    workers = [] if "--workers" in given else ["--workers", "1"]
    main([dataset, "--raw", str(raw), "--dest", str(dest), *sizes, *workers, *given])
    return dest


def digest(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by relative path."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip
