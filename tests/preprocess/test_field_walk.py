"""Every field of every reader's files, damaged in every way: a bad record or one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.__main__ import make_parser
from preprocess.datasets import READERS
from preprocess.options import options_of
from preprocess.survey import Survey, chosen_splits, classes_of, survey

from .raw import build, captions, dump, write_jsonl, write_vqa
from .raw_tasks import write_flickr30k, write_nlvr2, write_snli_ve
from .test_readers import karpathy, official
from .test_refcoco import refs_of, write_refcoco
from .test_visual_genome import write_vg, write_vgqa
from .test_web_captions import write_sbu

PARSER = make_parser()
Place = tuple[str | int, ...]
MISSING = object()
WRONG = [
    MISSING, None, [], {"x": 1}, [None], True, "", "x\ny", "\ud800", -1.5, 2**63, float("nan"),
]  # fmt: skip


def _rows(kind: str) -> list[dict[str, Any]]:
    """Lines of a user's own data that use all fields."""
    rows: list[dict[str, Any]] = [{**row, "id": i} for i, row in enumerate(captions(3))]
    if kind == "answers":
        return [{**row, "answers": ["red", "red"]} for row in rows]
    return [{"images": [row["image"]], "text": "t", "label": "a", "id": row["id"]} for row in rows]


def _refcoco(raw: Path) -> Path:
    (write_refcoco(raw) / "refs(unc).p").unlink()
    dump(raw / "refs(unc).json", refs_of())
    dump(raw / "dets.json", {str(i): [[1, 1, 5, 5, 0.5]] for i in range(4)})
    return raw


def _mattnet(raw: Path) -> Path:
    dump(_refcoco(raw) / "dets.json", [{"image_id": i, "box": [1, 1, 5, 5]} for i in range(4)])
    return raw


def _sbu(raw: Path) -> Path:
    texts, urls = write_sbu(raw)
    dump(raw / "sbu-captions-all.json", {"captions": texts, "image_urls": urls})
    return raw


CASES: dict[str, tuple[str, Callable[[Path], Path], list[str]]] = {
    "vqav2": ("vqav2", lambda raw: write_vqa(raw, images=3, questions=2, test=False),
              [f"v2_{kind}.json" for kind in
               ("OpenEnded_mscoco_train2014_questions", "mscoco_train2014_annotations")]),
    "coco": ("coco", official, ["annotations/captions_train2014.json"]),
    "karpathy": ("coco", karpathy, ["karpathy/dataset_coco.json"]),
    "flickr30k": ("flickr30k", write_flickr30k, ["dataset_flickr30k.json"]),
    "answers": ("jsonl", lambda raw: write_jsonl(raw, _rows("answers")), ["train.jsonl"]),
    "label": ("jsonl", lambda raw: write_jsonl(raw, _rows("label")), ["train.jsonl"]),
    "nlvr2": ("nlvr2", write_nlvr2, ["data/train.json"]),
    "snli_ve": ("snli_ve", write_snli_ve, ["snli_ve_train.jsonl"]),
    "refcoco": ("refcoco", _refcoco, ["refs(unc).json", "instances.json", "dets.json"]),
    "mattnet": ("refcoco", _mattnet, ["dets.json"]),
    "vg": ("vg", write_vg, ["region_descriptions.json"]),
    "vgqa": ("vgqa", write_vgqa,
             ["question_answers.json", "image_data.json", "dataset_coco.json"]),
    "sbu": ("sbu", _sbu, ["sbu-captions-all.json"]),
}  # fmt: skip
LINES = {"train.jsonl", "data/train.json", "snli_ve_train.jsonl"}


def _places(value: Any, at: Place = (), leaves: bool = False) -> Iterator[Place]:
    """Every member of every object; of a list the first entry stands for all."""
    members: Any = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        members = enumerate(value[:1])
    if not members or not leaves:
        yield at
    for name, inner in members:
        yield from _places(inner, (*at, name), leaves)


def _damaged(value: Any, at: Place, wrong: Any) -> Any:
    """A copy with another value, or none, at a place."""
    if not at:
        return wrong
    value = deepcopy(value)
    inner = value
    for name in at[:-1]:
        inner = inner[name]
    if wrong is MISSING:
        del inner[at[-1]]
    else:
        inner[at[-1]] = wrong
    return value


def _load(path: Path, name: str) -> Any:
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if name in LINES else json.loads(text)


def _save(path: Path, name: str, value: Any) -> None:
    if name in LINES and isinstance(value, list):
        path.write_text("".join(f"{json.dumps(row)}\n" for row in value))
    else:
        dump(path, value)


def _surveyed(dataset: str, raw: Path, on_error: str) -> Survey | str:
    """All that is decided before anything is written, or the line in which it ends."""
    given = [dataset, "--raw", raw, "--dest", "-", "--splits", "train", "--on-error", on_error]
    if READERS[dataset].has_answers:
        given += ["--min-answer-count", 1]
    args = PARSER.parse_args(list(map(str, given)))
    options = options_of(args)
    try:
        reader = READERS[dataset](raw, args)
        found = survey(reader, chosen_splits(reader, options), options)
        classes_of(found, options)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return str(error)
    return found


@pytest.mark.parametrize("case", CASES)
def test_any_wrong_value_is_a_bad_record_or_a_clear_line(tmp_path: Path, case: str) -> None:
    dataset, write, names = CASES[case]
    raw = write(tmp_path / "raw")
    for name in names:
        whole = _load(raw / name, name)
        for place in _places(whole):
            for wrong in WRONG[not place :]:
                _save(raw / name, name, _damaged(whole, place, wrong))
                found = _surveyed(dataset, raw, "skip")
            # the last one was NaN, which no field takes: whoever does not skip is told
            bad = isinstance(found, str) or found.records["train"] > found.samples["train"]
            assert isinstance(_surveyed(dataset, raw, "fail"), str) == bad, (name, place, wrong)
        _save(raw / name, name, whole)
        assert isinstance(_surveyed(dataset, raw, "fail"), Survey)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data-bin whose tokenizer all others take, so that none is trained."""
    root = tmp_path_factory.mktemp("tokenizer")
    return build("jsonl", write_jsonl(root / "raw", captions(8)), root / "bin")


@pytest.mark.parametrize("case", CASES)
def test_no_data_bin_is_left_unfinished(tmp_path: Path, case: str, tokenizer: Path) -> None:
    """Numbers and texts that no column holds are found before the first pack is written."""
    dataset, write, names = CASES[case]
    raw, dest = write(tmp_path / "raw"), tmp_path / "bin"
    options = ["--tokenizer", tokenizer, "--on-error", "skip", "--overwrite"]
    if READERS[dataset].has_answers:
        options += ["--min-answer-count", 1]
    for name in names:
        whole = _load(raw / name, name)
        for place in _places(whole, leaves=True):
            for wrong in ("\ud800", 2**63):
                _save(raw / name, name, _damaged(whole, place, wrong))
                before = (dest / "metadata.json").read_bytes() if dest.exists() else None
                try:
                    data = DataBin(build(dataset, raw, dest, *options))
                    for split in data.splits:
                        assert len(data.split(split)) == data.metadata["splits"][split]["samples"]
                except UserError:
                    after = (dest / "metadata.json").read_bytes() if dest.exists() else None
                    assert after == before, (name, place, wrong)
        _save(raw / name, name, whole)
