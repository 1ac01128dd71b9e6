"""Generated files have the fields, types and places of the official ones."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from examples.demo.world.layouts.snli_ve import LABELS
from examples.demo.world.scene import SIDE

OFFICIAL_QUESTION_TYPES = {
    "how many", "is the", "what", "what color is the", "what is the color of the", "is there a",
    "what number is",
}  # fmt: skip  # of the 65 in mscoco_question_types.txt


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def load_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def shape_of(value: Any) -> Any:
    """Keys and types, of lists those of the first member."""
    if isinstance(value, dict):
        return {key: shape_of(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return type(value).__name__


@pytest.fixture(scope="module")
def official(shared_dir: Path) -> Path:
    if not (shared_dir / "data").is_dir():
        pytest.skip("no real data beside the checkout")
    return shared_dir / "data"


def test_vqa_files_are_shaped_as_the_official(world: Path, official: Path) -> None:
    for name, key in (
        ("v2_OpenEnded_mscoco_train2014_questions.json", "questions"),
        ("v2_mscoco_train2014_annotations.json", "annotations"),
    ):
        ours, theirs = load(world / "vqav2" / name), load(official / "vqav2" / name)
        assert shape_of(ours[key]) == shape_of(theirs[key])
        assert set(ours) == set(theirs)


def test_coco_files_are_shaped_as_the_official(world: Path, official: Path) -> None:
    for name in ("annotations/captions_train2014.json", "karpathy/dataset_coco.json"):
        ours, theirs = load(world / "coco" / name), load(official / "coco" / name)
        for key in set(theirs) - {"info", "dataset", "licenses"}:
            assert shape_of(ours[key]) == shape_of(theirs[key]), (name, key)


def test_nlvr2_and_snli_ve_have_the_official_fields(world: Path, official: Path) -> None:
    ours, theirs = (load_lines(f / "nlvr2" / "data" / "dev.json")[0] for f in (world, official))
    assert set(ours) == set(theirs)
    train = load_lines(world / "nlvr2" / "data" / "train.json")[0]
    assert set(train) == set(theirs) - {"extra_validations"} | {"directory"}
    sample = load_lines(official / "snli_ve_sample" / "sample_data.jsonl")[0]
    entailed = load_lines(world / "snli_ve" / "snli_ve_train.jsonl")[0]
    assert set(entailed) == set(sample) - {"Flikr30kID"} | {"Flickr30K_ID"}


def test_question_types_are_official(world: Path, official: Path) -> None:
    content = load(world / "vqav2" / "v2_mscoco_train2014_annotations.json")
    known = set((official / "vqav2" / "mscoco_question_types.txt").read_text().splitlines())
    assert {a["question_type"] for a in content["annotations"]} <= known
    assert known >= OFFICIAL_QUESTION_TYPES


@pytest.mark.parametrize("part", ["train2014", "val2014", "test2015"])
def test_every_question_has_its_picture(world: Path, part: str) -> None:
    asked = load(world / "vqav2" / f"v2_OpenEnded_mscoco_{part}_questions.json")
    assert asked["data_subtype"] == part
    ids = [q["question_id"] for q in asked["questions"]]
    assert len(set(ids)) == len(ids)
    for image_id in {q["image_id"] for q in asked["questions"]}:
        path = world / "coco" / part / f"COCO_{part}_{image_id:012d}.jpg"
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIDE, SIDE))


def test_test_answers_lie_apart(world: Path) -> None:
    assert not (world / "vqav2" / "v2_mscoco_test2015_annotations.json").exists()
    kept = load(world / "vqav2_test_answers" / "v2_mscoco_test2015_annotations.json")
    asked = load(world / "vqav2" / "v2_OpenEnded_mscoco_test2015_questions.json")
    assert [a["question_id"] for a in kept["annotations"]] == [
        q["question_id"] for q in asked["questions"]
    ]


def test_karpathy_splits(world: Path) -> None:
    images = load(world / "coco" / "karpathy" / "dataset_coco.json")["images"]
    for image in images:
        assert (world / "coco" / image["filepath"] / image["filename"]).is_file()
        assert (image["filepath"] == "train2014") == (image["split"] == "train")
    flickr = load(world / "flickr30k" / "dataset_flickr30k.json")["images"]
    assert {i["split"] for i in images} == {i["split"] for i in flickr} == {"train", "val", "test"}
    for image in flickr:
        assert (world / "flickr30k" / "flickr30k-images" / image["filename"]).is_file()
        assert len(image["sentences"]) == 5
    official = "filename imgid sentences sentids split"
    assert " ".join(sorted(flickr[0])) == official


def test_snli_ve_labels_are_even_and_pictures_are_there(world: Path) -> None:
    for split in ("train", "dev", "test"):
        lines = load_lines(world / "snli_ve" / f"snli_ve_{split}.jsonl")
        labels = [line["gold_label"] for line in lines]
        assert {labels.count(label) for label in LABELS} == {len(lines) // 3}
        for line in lines:
            path = world / "flickr30k" / "flickr30k-images" / f"{line['Flickr30K_ID']}.jpg"
            assert path.is_file()


def test_nlvr2_sentences_are_true_of_half_their_pairs(world: Path) -> None:
    for split in ("train", "dev", "test1"):
        groups: dict[tuple[str, str], list[str]] = {}
        for line in load_lines(world / "nlvr2" / "data" / f"{split}.json"):
            prefix, number, pair, sentence = line["identifier"].split("-")
            assert prefix == split
            groups.setdefault((number, sentence), []).append(line["label"])
            folder = f"images/train/{line['directory']}" if split == "train" else split
            for side in (0, 1):
                path = world / "nlvr2" / folder / f"{split}-{number}-{pair}-img{side}.png"
                assert path.read_bytes().startswith(b"\x89PNG")
        assert all(sorted(g) == ["False", "False", "True", "True"] for g in groups.values())
    for split in ("dev", "test1"):
        whole = {x["identifier"] for x in load_lines(world / "nlvr2" / "data" / f"{split}.json")}
        parts = [
            {x["identifier"] for x in load_lines(world / f"nlvr2/data/{kind}/{kind}_{split}.json")}
            for kind in ("balanced", "unbalanced")
        ]
        assert parts[0] | parts[1] == whole and not parts[0] & parts[1]


@pytest.mark.parametrize("name", ["refcoco", "refcoco+"])
def test_refcoco_refers_to_boxes(world: Path, name: str) -> None:
    instances = load(world / name / "instances.json")
    refs = pickle.loads((world / name / "refs(unc).p").read_bytes())
    boxes = {a["id"]: a for a in instances["annotations"]}
    categories = {c["id"]: c for c in instances["categories"]}
    files = {i["id"]: i["file_name"] for i in instances["images"]}
    assert {r["split"] for r in refs} == {"train", "val", "testA", "testB"}
    sent_ids = [i for r in refs for i in r["sent_ids"]]
    assert len(set(sent_ids)) == len(sent_ids)
    for ref in refs:
        box = boxes[ref["ann_id"]]
        assert (box["image_id"], box["category_id"]) == (ref["image_id"], ref["category_id"])
        assert (world / "coco" / "train2014" / files[ref["image_id"]]).is_file()
        kind = categories[ref["category_id"]]["supercategory"]
        assert kind == {"testA": "digit", "testB": "shape"}.get(ref["split"], kind)
        for sentence in ref["sentences"]:
            assert set(sentence) == {"tokens", "raw", "sent_id", "sent"}
            placed = {"left", "right", "above", "below", "top", "bottom"} & set(sentence["tokens"])
            assert not (placed and name == "refcoco+")
    proposals = load(world / name / "dets.json")
    assert set(map(int, proposals)) == set(files)


def test_pictures_are_plain_jpeg(world: Path) -> None:
    """Baseline JPEG with colour at full resolution, so that small glyphs keep their colour."""
    path = next((world / "coco" / "train2014").iterdir())
    data = path.read_bytes()
    frame = data.index(b"\xff\xc0")
    height, width, components = struct.unpack(">HHB", data[frame + 5 : frame + 10])
    assert (height, width, components) == (SIDE, SIDE, 3)
    assert data[frame + 11] == 0x11
