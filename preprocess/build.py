"""Build a data-bin: survey, tokenizer, image packs, splits, metadata, in this order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mt_fairseq.data import tokenizer_build
from mt_fairseq.data.answer_rules import ANSWER_RULES, NORMALISED, OFFICIAL
from mt_fairseq.data.files import sha256_of, write_text
from mt_fairseq.data.metadata import (
    BUILDING,
    DATA_BIN_VERSION,
    FORMAT,
    LABEL_FILE,
    METADATA_FILE,
    label_lines,
    read_metadata,
)
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError
from preprocess.class_cover import class_warnings
from preprocess.clean_texts import records_of
from preprocess.datasets import READERS, Reader
from preprocess.destination import begin, check_destination, finish, must_agree, plan_of
from preprocess.dictionary import write_dictionary
from preprocess.image_table import ImageTable
from preprocess.options import Options, deciding, options_of
from preprocess.pack_images import missing_packs, must_be_wanted, pack_images, pack_notes
from preprocess.progress import progress
from preprocess.records import Record
from preprocess.survey import Survey, chosen_splits, classes_of, survey
from preprocess.write_split import SplitWriter


def build(args: argparse.Namespace) -> int:
    """Run ``python -m preprocess DATASET``."""
    options = options_of(args)
    check_destination(options.dest, options.overwrite, options.resume, bool(options.shard))
    reader = READERS[options.dataset](Path(args.raw), args)
    given = given_tokenizer(options)
    splits = chosen_splits(reader, options)
    say(f"reading the records of {', '.join(splits)} in {reader.raw}")
    if options.splits is None:
        _name_absent_splits(reader, splits)
    found = survey(reader, splits, options)
    classes = classes_of(found, options)
    _warn(reader, splits, found, classes, options)
    labels = None if classes is None else label_lines(classes)
    tokenizer = given or _trained_tokenizer(reader, splits, found, options)
    if found.doubtful:
        say("reading the records again: the tokenizer must judge texts without letters of ASCII")
        found = survey(reader, splits, options, tokenizer)
    decided = {**deciding(options), **reader.deciding(args)}
    plan = plan_of({**decided, "tokenizer": tokenizer.fingerprint,
                    "labels": labels and len(classes or ())}, found.images)  # fmt: skip
    if options.resume and (options.dest / METADATA_FILE).is_file():
        must_agree(read_metadata(options.dest)["plan"], plan, options.dest)
        say(f"{options.dest} is complete already")
        return 0
    begin(options, plan)
    pack_images(found.images, options)
    missing = missing_packs(options, len(found.images))
    if options.shard:
        part = f"{options.shard[0]}/{options.shard[1]}"
        say(f"shard {part} is done; {len(missing)} packs of other shards are missing here")
        say("when all shards are in this folder, run with --resume and without --shard")
        return 0
    tokenizer.save(options.dest)
    write_dictionary(options.dest, tokenizer)
    if labels is not None:
        write_text(options.dest / LABEL_FILE, labels)
    packs = _take_notes(found.images, options)
    summaries = _write_splits(reader, splits, found, options, tokenizer, classes)
    metadata = _metadata(options, plan, tokenizer, classes, summaries, packs)
    finish(options.dest, metadata)
    _report(options.dest, metadata)
    return 0


def say(line: str) -> None:
    """Progress for people, on standard error."""
    print(line, file=sys.stderr, flush=True)


def _warn(
    reader: Reader, splits: list[str], found: Survey, classes: list[str] | None, options: Options
) -> None:
    """Lines about answers that are lost; UserError where a split loses all."""
    for line in class_warnings(reader, splits, found, classes or [], options):
        say(line)
    for line in found.spellings.warnings():
        say(line)


def _name_absent_splits(reader: Reader, present: list[str]) -> None:
    """One line for official splits that are not there."""
    absent = [f"{split} ({name})" for split, name in reader.split_sources().items()
              if split not in present]  # fmt: skip
    if absent:
        say(f"not there, so left out: {', '.join(absent)}")


def _texts(reader: Reader, splits: list[str], found: Survey, cleaning: str | None) -> Iterator[str]:
    """Texts that a tokenizer is trained on: of the train split, or of the first one."""
    split = "train" if "train" in splits else splits[0]
    every = -(-found.samples[split] // tokenizer_build.MAX_TRAINING_TEXTS)
    checker = found.checker(split)
    records = records_of(reader, split, cleaning)
    good = (r for r in checker.judge(records) if isinstance(r, Record))
    for i, record in enumerate(good):
        if i % every == 0:
            yield record.text


def given_tokenizer(options: Options) -> TextTokenizer | None:
    """The tokenizer that ``--tokenizer`` names; None if one is to be trained on the texts."""
    if options.tokenizer == "sentencepiece":
        return None
    return tokenizer_build.open_tokenizer(options.tokenizer)


def _trained_tokenizer(
    reader: Reader, splits: list[str], found: Survey, options: Options
) -> TextTokenizer:
    say("training a SentencePiece tokenizer")
    texts = _texts(reader, splits, found, options.clean_text)
    tokenizer = tokenizer_build.train_sentencepiece(texts, options.vocab_size)
    size = len(tokenizer.symbols)
    if size < options.vocab_size:
        say(f"the texts are enough for {size} symbols, not for --vocab-size {options.vocab_size}")
    return tokenizer


def _write_splits(
    reader: Reader,
    splits: list[str],
    found: Survey,
    options: Options,
    tokenizer: TextTokenizer,
    classes: list[str] | None,
) -> dict[str, Any]:
    summaries = {}
    for split in splits:
        writer = SplitWriter(split, options, tokenizer, classes, found.images)
        checker = found.checker(split)
        with progress(f"{split} texts", "text", found.records[split]) as bar:
            records = records_of(reader, split, options.clean_text)
            summaries[split] = summary = writer.write(checker, records, bar)
        if "without_known_answer" in summary:
            rule = OFFICIAL if reader.official_answers else NORMALISED
            summary[ANSWER_RULES] = [(rule, summary["samples"])]
        remark = reader.remark(split)
        if remark:
            summary["remark"] = remark
    return summaries


def _take_notes(images: ImageTable, options: Options) -> list[dict[str, Any]]:
    """What is known of every pack; pictures that they left out are left out of ``images``."""
    notes = list(pack_notes(options, len(images)))
    for note in notes:
        faults = note.pop("faults")
        must_be_wanted(faults, options)
        for key, reason in faults:
            images.leave_out(key, reason)
    if not any(note["images"] for note in notes):
        raise UserError("none of the pictures can be used; see the reasons with --on-error fail")
    return notes


def _metadata(
    options: Options,
    plan: dict[str, Any],
    tokenizer: TextTokenizer,
    classes: list[str] | None,
    splits: dict[str, Any],
    packs: list[dict[str, Any]],
) -> dict[str, Any]:
    sums = {str(pack["file"]): str(pack["sha256"]) for pack in packs}
    return {
        "format": FORMAT,
        "version": DATA_BIN_VERSION,
        "dataset": options.dataset,
        "plan": plan,
        "tokenizer": {
            "kind": tokenizer.kind,
            "name": options.tokenizer,
            "symbols": len(tokenizer.symbols),
            "fingerprint": tokenizer.fingerprint,
        },
        "labels": None if classes is None else len(classes),
        "max_text_len": options.max_text_len,
        "clean_text": options.clean_text,
        "images": {
            "count": sum(pack["images"] for pack in packs),
            "encoding": options.store,
            "resize": options.resize,
            "packs": [{name: pack[name] for name in ("file", "images", "bytes")} for pack in packs],
        },
        "splits": splits,
        "files": _checksums(options.dest, sums),
    }


def _checksums(dest: Path, known: dict[str, str]) -> dict[str, Any]:
    """Size and SHA-256 of all files, but for metadata.json; those of packs are known."""
    paths = [path for path in sorted(dest.rglob("*"))
             if path.is_file() and path.relative_to(dest).parts[0] != BUILDING]  # fmt: skip
    names = [path.relative_to(dest).as_posix() for path in paths]
    return {name: {"bytes": path.stat().st_size, "sha256": known.get(name) or sha256_of(path)}
            for name, path in zip(names, paths, strict=True)}  # fmt: skip


def _report(dest: Path, metadata: dict[str, Any]) -> None:
    for name, split in metadata["splits"].items():
        line = f"{name}: {split['samples']:,} samples on {split['images']:,} images"
        if "remark" in split:
            line += f"; {split['remark']}"
        if split["skipped"]:
            line += f", {len(split['skipped']):,} records left out (listed in metadata.json)"
        if "without_known_answer" in split:
            line += f", {split['without_known_answer']:,} questions without a class"
        if split["longer_than_max_text_len"]:
            line += (
                f", {split['longer_than_max_text_len']:,} texts longer than "
                f"{metadata['max_text_len']} tokens (stored whole, cut in training)"
            )
        say(line)
    say(f"wrote {dest}: {metadata['images']['count']:,} images in "
        f"{len(metadata['images']['packs'])} packs, {metadata['tokenizer']['symbols']:,} symbols"
        + (f", {metadata['labels']:,} classes" if metadata["labels"] else ""))  # fmt: skip
