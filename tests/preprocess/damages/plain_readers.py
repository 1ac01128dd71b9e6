"""What a raw folder gives, read as plainly as can be: the second opinion on every reader.

Nothing is judged here. What cannot be read gives no sample; a sample that is given may still be one
that the product rightly refuses.
"""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ANSWERS, LABEL = "answers", "label"


@dataclass
class Given:
    """A sample as the raw files have it.

    Args:
        facts: columns by name; ``label`` is the class by name, ``answers`` the set of answers.
    """

    split: str
    sample_id: Any
    text: Any
    images: list[Path]
    facts: dict[str, Any] = field(default_factory=dict)


def attempt(make: Callable[[], Given]) -> Iterator[Given]:
    """The sample, or none from a record that is not as it should be."""
    try:
        yield make()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, StopIteration):
        return


def read(path: Path) -> Any:
    return parse(path.read_bytes())


def parse(data: bytes) -> Any:
    """A number of more digits than Python converts is infinite: it spoils its own field alone."""
    return json.loads(data.decode("utf-8-sig"), parse_int=lambda digits: (
        int(digits) if len(digits) < 4000 else float("inf")
    ))  # fmt: skip


def lines_of(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            if line.strip():
                yield number, parse(line)
        except (ValueError, RecursionError):
            continue


def members(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def vqav2(raw: Path) -> Iterator[Given]:
    sets = {"train": ("train2014", "train2014"), "valid": ("val2014", "val2014"),
            "test": ("test2015", "test2015"), "testdev": ("test-dev2015", "test2015")}  # fmt: skip
    for split, (subset, folder) in sets.items():
        asked = raw / f"v2_OpenEnded_mscoco_{subset}_questions.json"
        if not asked.is_file():
            continue
        told = raw / f"v2_mscoco_{subset}_annotations.json"
        notes = members(read(told)["annotations"]) if told.is_file() else []

        def make(item: Any, notes: Any = notes, split: Any = split, folder: Any = folder) -> Given:
            number = item["image_id"]
            facts: dict[str, Any] = {"image_id": number}
            if notes:
                note = next(n for n in notes if isinstance(n, dict)
                            and n.get("question_id") == item["question_id"])  # fmt: skip
                facts[ANSWERS] = {answer["answer"] for answer in note["answers"]}
            path = raw / folder / f"COCO_{folder}_{number:012d}.jpg"
            return Given(split, item["question_id"], item["question"], [path], facts)

        for item in members(read(asked)["questions"]):
            yield from attempt(lambda item=item: make(item))


def coco(raw: Path) -> Iterator[Given]:
    path = raw / "annotations" / "captions_train2014.json"
    content = read(path)
    listed = [i for i in members(content["images"]) if isinstance(i, dict)]
    names = {i["id"]: i["file_name"] for i in listed
             if isinstance(i.get("id"), int) and "file_name" in i}  # fmt: skip
    for item in members(content["annotations"]):
        yield from attempt(lambda item=item: Given(
            "train", item["id"], item["caption"],
            [raw / "train2014" / names[item["image_id"]]], {"image_id": item["image_id"]},
        ))  # fmt: skip


def flickr30k(raw: Path) -> Iterator[Given]:
    splits = {"train": "train", "restval": "train", "val": "valid", "test": "test"}
    for image in members(read(raw / "dataset_flickr30k.json")["images"]):
        sentences = image.get("sentences") if isinstance(image, dict) else None
        for item in members(sentences):
            yield from attempt(lambda item=item, image=image: Given(
                splits[image["split"]], item["sentid"], item["raw"],
                [raw / "flickr30k-images" / image["filename"]],
                {"image_id": image.get("cocoid", image["imgid"])},
            ))  # fmt: skip


def snli_ve(raw: Path) -> Iterator[Given]:
    for split, name in {"train": "train", "valid": "dev", "test": "test"}.items():
        path = raw / f"snli_ve_{name}.jsonl"
        for _, item in lines_of(path) if path.is_file() else ():
            yield from attempt(lambda item=item, split=split: Given(
                split, item["pairID"], item["sentence2"],
                [_flickr(raw, str(item["Flickr30K_ID"]))],
                {LABEL: item["gold_label"]},
            ))  # fmt: skip


def _flickr(raw: Path, name: str) -> Path:
    return raw / "flickr30k-images" / f"{name.removesuffix('.jpg')}.jpg"


def esnlive(raw: Path) -> Iterator[Given]:
    with open(raw / "esnlive_train.csv", encoding="utf-8-sig", newline="") as stream:
        for item in csv.DictReader(stream):
            yield from attempt(lambda item=item: Given(
                "train", item["pairID"], item["hypothesis"],
                [_flickr(raw, item["Flickr30kID"])],
                {LABEL: item["gold_label"]},
            ))  # fmt: skip


def nlvr2(raw: Path) -> Iterator[Given]:
    files = {"train": "train", "valid": "dev", "test": "test1",
             "valid-balanced": "balanced/balanced_dev",
             "valid-unbalanced": "unbalanced/unbalanced_dev",
             "test-balanced": "balanced/balanced_test1",
             "test-unbalanced": "unbalanced/unbalanced_test1"}  # fmt: skip

    def make(item: Any, split: str) -> Given:
        subset, number, pair, _ = item["identifier"].split("-")
        folder = (
            raw / "images" / "train" / str(item["directory"]) if subset == "train" else raw / subset
        )
        images = [folder / f"{subset}-{number}-{pair}-img{side}.png" for side in (0, 1)]
        facts = {LABEL: item["label"], "identifier": item["identifier"]}
        return Given(split, item["identifier"], item["sentence"], images, facts)

    for split, name in files.items():
        path = raw / "data" / f"{name}.json"
        for _, item in lines_of(path) if path.is_file() else ():
            yield from attempt(lambda item=item, split=split: make(item, split))


def refcoco(raw: Path) -> Iterator[Given]:
    splits = {"train": "train", "val": "valid", "testA": "testA", "testB": "testB"}
    plain = raw / "refs(unc).p"
    refs = pickle.loads(plain.read_bytes()) if plain.is_file() else read(raw / "refs(unc).json")
    content = read(raw / "instances.json")
    images = {i["id"]: i for i in members(content["images"])}
    boxes = {a["id"]: a for a in members(content["annotations"])}

    def make(ref: Any, item: Any) -> Given:
        image = images[ref["image_id"]]
        box = boxes[ref["ann_id"]]["bbox"][:4]
        if any(isinstance(x, bool) for x in box):
            raise TypeError(box)
        facts = {"image_id": ref["image_id"], "ref_id": ref["ref_id"], "box": list(map(float, box)),
                 "image_size": [image["height"], image["width"]]}  # fmt: skip
        path = raw / "train2014" / image["file_name"]
        return Given(splits[ref["split"]], item["sent_id"], item["sent"], [path], facts)

    for ref in members(refs):
        for item in members(ref.get("sentences") if isinstance(ref, dict) else None):
            yield from attempt(lambda ref=ref, item=item: make(ref, item))


def vg(raw: Path) -> Iterator[Given]:
    for image in members(read(raw / "region_descriptions.json")):
        for item in members(image.get("regions") if isinstance(image, dict) else None):
            yield from attempt(lambda item=item, image=image: Given(
                "train", item["region_id"], item["phrase"].strip(), [_genome(raw, image["id"])],
                {"image_id": image["id"]},
            ))  # fmt: skip


def vgqa(raw: Path) -> Iterator[Given]:
    split_of = {i["cocoid"]: "train" if i["split"] in ("train", "restval") else "valid"
                for i in members(read(raw / "dataset_coco.json")["images"])}  # fmt: skip
    coco_id = {i["image_id"]: i["coco_id"] for i in members(read(raw / "image_data.json"))}
    for image in members(read(raw / "question_answers.json")):
        for item in members(image.get("qas") if isinstance(image, dict) else None):
            yield from attempt(lambda item=item, image=image: Given(
                "train" if coco_id[image["id"]] is None else split_of[coco_id[image["id"]]],
                item["qa_id"], item["question"], [_genome(raw, image["id"])],
                {"image_id": image["id"], ANSWERS: {item["answer"]}},
            ))  # fmt: skip


def _genome(raw: Path, number: int) -> Path:
    places = [raw / folder / f"{number}.jpg" for folder in ("VG_100K", "VG_100K_2")]
    return next(path for path in places if path.is_file())


def cc(raw: Path) -> Iterator[Given]:
    files = {"train": "Train_GCC-training.tsv", "valid": "Validation_GCC-1.1.0-Validation.tsv"}

    def make(line: bytes, number: int, split: str) -> Given:
        columns = line.rstrip(b"\r").decode("utf-8-sig").split("\t")
        key = columns[2] if len(columns) == 3 else f"{split}/{number:08d}.jpg"
        return Given(split, number, columns[0], [raw / key])

    for split, name in files.items():
        lines = (raw / name).read_bytes().split(b"\n") if (raw / name).is_file() else []
        for number, line in enumerate(lines[:-1] if lines and not lines[-1] else lines):
            yield from attempt(
                lambda line=line, number=number, split=split: make(line, number, split)
            )


def sbu(raw: Path) -> Iterator[Given]:
    content = read(raw / "sbu-captions-all.json")
    pairs = zip(content["captions"], content["image_urls"], strict=True)
    for number, (caption, url) in enumerate(pairs):
        yield from attempt(lambda number=number, caption=caption, url=url: Given(
            "train", number, caption, [raw / unquote(urlsplit(url).path).rsplit("/", 1)[-1]]
        ))  # fmt: skip


def jsonl(raw: Path) -> Iterator[Given]:
    names = {"val": "valid"}

    def make(number: int, item: Any, split: str) -> Given:
        images = item["images"] if "images" in item else [item["image"]]
        facts: dict[str, Any] = {}
        if item.get("answers") is not None:
            facts[ANSWERS] = set(item["answers"])
        if item.get("label") is not None:
            label = item["label"]
            facts[LABEL] = label if isinstance(label, str) else json.dumps(label)
        return Given(split, item.get("id", number), item["text"], [raw / x for x in images], facts)

    for path in sorted(raw.glob("[!.]*.jsonl")):
        split = names.get(path.stem, path.stem)
        for number, item in lines_of(path) if path.is_file() else ():
            yield from attempt(
                lambda number=number, item=item, split=split: make(number, item, split)
            )
