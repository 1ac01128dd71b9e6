"""Valid raw files, damaged at random: a whole and true data-bin, or one clear line.

Every reader goes through 200 damages with fixed seeds. A data-bin that is written must pass
``inspect``, each of its samples must be what a plain reading of the damaged files gives, and
nothing may be missing without being listed.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.split import Split
from mt_fairseq.errors import UserError
from preprocess.__main__ import main

from .damages import plain_readers
from .damages.damage import damage
from .damages.plain_readers import ANSWERS, LABEL, Given
from .raw import build, write_jsonl, write_vqa
from .raw_tasks import snli_ve_rows, write_esnlive, write_flickr30k, write_nlvr2, write_snli_ve
from .test_readers import official
from .test_refcoco import write_refcoco
from .test_visual_genome import write_vg, write_vgqa
from .test_web_captions import write_cc, write_sbu_json

DAMAGES = 200
LEAST_WRITTEN = 40
"""A test in which nearly all damages end in an error would compare too few samples."""


class Kind(NamedTuple):
    """A reader with its small valid raw folder and its plain reading."""

    dataset: str
    write: Callable[[Path], object]
    plain: Callable[[Path], Iterator[Given]]
    options: tuple[str, ...] = ()


def write_own_data(raw: Path) -> None:
    """Questions with one and with several answers, ids on some."""
    rows: list[dict[str, Any]] = [
        {"id": f"q{i}", "image": f"images/{i % 4}.jpg", "text": f"What is thing {i}?",
         "answers": ["red"] if i % 2 else ["blue", "Blue", "red"]} for i in range(6)
    ]  # fmt: skip
    write_jsonl(raw, rows)
    write_jsonl(raw, rows[:3], "val")


def write_pairs(raw: Path) -> None:
    """Two images and a class per text."""
    rows = [{"images": [f"{i}.jpg", f"{i + 1}.jpg"], "text": f"Both are {i}.", "label": i % 2 == 0}
            for i in range(5)]  # fmt: skip
    write_jsonl(raw, rows)


def write_explained(raw: Path) -> None:
    write_snli_ve(raw)
    for path in raw.glob("*.jsonl"):
        path.unlink()
    write_esnlive(raw, snli_ve_rows(10, 4))


FEW = ("--min-answer-count", "1")
KINDS = {
    "cc": Kind("cc", write_cc, plain_readers.cc),
    "coco": Kind("coco", official, plain_readers.coco),
    "flickr30k": Kind("flickr30k", write_flickr30k, plain_readers.flickr30k),
    "jsonl": Kind("jsonl", write_own_data, plain_readers.jsonl, FEW),
    "jsonl-pairs": Kind("jsonl", write_pairs, plain_readers.jsonl, FEW),
    "nlvr2": Kind("nlvr2", write_nlvr2, plain_readers.nlvr2),
    "refcoco": Kind("refcoco", write_refcoco, plain_readers.refcoco),
    "sbu": Kind("sbu", write_sbu_json, plain_readers.sbu),
    "snli_ve": Kind("snli_ve", write_snli_ve, plain_readers.snli_ve),
    "esnlive": Kind("snli_ve", write_explained, plain_readers.esnlive),
    "vg": Kind("vg", write_vg, plain_readers.vg),
    "vgqa": Kind("vgqa", write_vgqa, plain_readers.vgqa, FEW),
    "vqav2": Kind("vqav2", lambda raw: write_vqa(raw, 3, 2), plain_readers.vqav2, FEW),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_damages(
    name: str, roberta_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS[name]
    whole = tmp_path / "whole"
    kind.write(whole)
    written = 0
    for seed in range(DAMAGES):
        rng = random.Random(f"{name} {seed}")
        raw, dest = tmp_path / f"{seed}" / "raw", tmp_path / f"{seed}" / "bin"
        shutil.copytree(whole, raw)
        what = f"{name}, damage {seed}: {damage(raw, rng)}"
        written += is_true_or_refused(kind, raw, whole, dest, roberta_folder, what)
        shutil.rmtree(tmp_path / f"{seed}")
        capsys.readouterr()
    assert written >= LEAST_WRITTEN, f"only {written} of {DAMAGES} damages left a data-bin"


def is_true_or_refused(
    kind: Kind, raw: Path, whole: Path, dest: Path, tokenizer: Path, what: str
) -> bool:
    """Whether a data-bin was written; fails unless it is right, or the refusal is one line."""
    try:
        build(
            kind.dataset, raw, dest, "--tokenizer", tokenizer, "--on-error", "skip", *kind.options
        )
        main(["inspect", str(dest)])
    except UserError as error:
        assert str(error) and "\n" not in str(error), what
        assert not (dest / "metadata.json").exists(), what
        return False
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    compare(given_by(kind, raw, whole), DataBin(dest), what)
    return True


def given_by(kind: Kind, raw: Path, whole: Path) -> list[Given]:
    """What the damaged files give; all of the undamaged ones where the damage lies behind the last
    sample, and the files are no JSON any more."""
    try:
        return list(kind.plain(raw))
    except (ValueError, TypeError, KeyError, RecursionError):
        return list(kind.plain(whole))


def compare(samples: list[Given], data: DataBin, what: str) -> None:
    """Every stored sample is one that was given; what is missing is listed."""
    given: dict[tuple[str, str], list[Given]] = {}
    for sample in samples:
        given.setdefault((sample.split, repr(sample.sample_id)), []).append(sample)
    stored: Counter[str] = Counter()
    for name in data.splits:
        split = data.split(name)
        for i in range(len(split)):
            candidates = given.get((name, repr(split.sample_id(i))), [])
            faults = [difference(data, split, i, sample) for sample in candidates]
            assert None in faults, f"{what}: {name} {split.sample_id(i)!r}: {faults or 'not given'}"
            stored[name] += 1
    for name in {split for split, _ in given}:
        about = data.metadata["splits"].get(name, {"skipped": [], "remark": None})
        all_of_it = sum(len(samples) for (split, _), samples in given.items() if split == name)
        listed = about["skipped"] or about.get("remark")
        assert listed or stored[name] == all_of_it, (
            f"{what}: {name} has {stored[name]} of {all_of_it}"
        )


def difference(data: DataBin, split: Split, i: int, sample: Given) -> str | None:
    """How a stored sample differs from a given one, or None."""
    if not isinstance(sample.text, str):
        return f"text {sample.text!r}"
    if split.text(i).tolist() != list(data.tokenizer.encode(sample.text)):
        return f"text {data.tokenizer.decode(split.text(i).tolist())!r}, not {sample.text!r}"
    images = [data.images.raw(int(j)) for j in split.images(i)]
    if images != [path.read_bytes() if path.is_file() else None for path in sample.images]:
        return f"other images than {[path.name for path in sample.images]}"
    for column, value in sample.facts.items():
        found = fact(data, split, i, column)
        if not same(found, value):
            return f"{column} {found!r}, not {value!r}"
    return None


def fact(data: DataBin, split: Split, i: int, column: str) -> Any:
    """A stored value as the raw files would spell it."""
    value = split.value(column, i)
    if column == ANSWERS:
        return set(value)
    if column == LABEL:
        return (data.labels or [])[int(value)]
    return value.tolist() if hasattr(value, "tolist") else value


def same(found: Any, given: Any) -> bool:
    """Equal, and no truth value or text that became a number."""
    if isinstance(given, list):
        return len(found) == len(given) and all(map(same, found, given))
    return (
        found == given
        and isinstance(given, str) == isinstance(found, str)
        and (not isinstance(given, bool))
    )
