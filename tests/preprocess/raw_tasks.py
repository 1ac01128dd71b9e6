"""Small raw folders of the classification and retrieval datasets, in their official layouts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from .raw import dump, save_picture

LABELS = ["entailment", "neutral", "contradiction"]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def snli_ve_rows(first: int, pictures: int) -> list[dict[str, Any]]:
    """Three hypotheses a picture in the fields of the later official release."""
    return [
        {"Flickr30K_ID": str(number), "annotator_labels": [label],
         "captionID": f"{number}.jpg#0", "gold_label": label,
         "pairID": f"{number}.jpg#0r1{label[0]}", "sentence1": "A premise.",
         "sentence2": f"Hypothesis {label} of {number}."}
        for number in range(first, first + pictures) for label in LABELS
    ]  # fmt: skip


def write_snli_ve(raw: Path) -> Path:
    """4, 2 and 2 pictures with three hypotheses each."""
    for split, (first, pictures) in {"train": (10, 4), "dev": (20, 2), "test": (30, 2)}.items():
        write_lines(raw / f"snli_ve_{split}.jsonl", snli_ve_rows(first, pictures))
        for number in range(first, first + pictures):
            save_picture(raw / "flickr30k-images" / f"{number}.jpg", number)
    return raw


def write_esnlive(raw: Path, rows: list[dict[str, Any]], split: str = "train") -> Path:
    """The same rows as e-SNLI-VE's CSV."""
    names = ["", "pairID", "Flickr30kID", "hypothesis", "gold_label", "explanation"]
    raw.mkdir(parents=True, exist_ok=True)
    with open(raw / f"esnlive_{split}.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for i, row in enumerate(rows):
            writer.writerow([i, row["pairID"], f"{row['Flickr30K_ID']}.jpg", row["sentence2"],
                             row["gold_label"], 'A "quoted", long\nreason.'])  # fmt: skip
    return raw


def nlvr2_rows(subset: str, sets: int) -> list[dict[str, Any]]:
    """Two pairs and two sentences a set."""
    rows = []
    for number in range(sets):
        for sentence in range(2):
            for pair in range(2):
                label = str((sentence + pair) % 2 == 0)
                row = {"identifier": f"{subset}-{number}-{pair}-{sentence}", "label": label,
                       "sentence": f"Sentence {sentence} of {number}."}  # fmt: skip
                rows.append({**row, "directory": number % 2} if subset == "train" else row)
    return rows


def write_nlvr2(raw: Path) -> Path:
    """3 sets in train, 1 in dev and test1, with balanced and unbalanced halves."""
    for subset, sets in {"train": 3, "dev": 1, "test1": 1}.items():
        rows = nlvr2_rows(subset, sets)
        write_lines(raw / "data" / f"{subset}.json", rows)
        if subset != "train":
            for kind, part in (("balanced", rows[:3]), ("unbalanced", rows[3:])):
                write_lines(raw / "data" / kind / f"{kind}_{subset}.json", part)
        for i, row in enumerate(rows):
            folder = f"images/train/{row['directory']}" if subset == "train" else subset
            stem = row["identifier"].rsplit("-", 1)[0]
            for side in range(2):
                save_picture(raw / folder / f"{stem}-img{side}.png", 2 * i + side)
    return raw


def write_flickr30k(raw: Path) -> Path:
    """3 train pictures, 2 of val, 1 of test; five captions each, six of the first."""
    images = []
    for i, split in enumerate(["train", "val", "train", "test", "val", "train"]):
        name = f"{1000 + i}.jpg"
        save_picture(raw / "flickr30k-images" / name, i)
        sentences = [{"raw": f"Caption {j} of {i}.", "tokens": [], "imgid": i, "sentid": 10 * i + j}
                     for j in range(5 + (i == 0))]  # fmt: skip
        images.append({"filename": name, "split": split, "imgid": i, "sentences": sentences,
                       "sentids": [s["sentid"] for s in sentences]})  # fmt: skip
    dump(raw / "dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})
    return raw
