"""One split of several data-bins as one: texts, columns and what metadata.json says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mt_fairseq.data.answer_rules import ANSWER_RULES, joined_runs, rule_runs
from mt_fairseq.data.column_buffers import Buffer, TextColumn
from mt_fairseq.data.columns import ANSWER_WEIGHT, write_columns
from mt_fairseq.data.columns_joined import ArrayColumn, JoinedColumn, alike
from mt_fairseq.data.files import atomic_file
from mt_fairseq.data.split import Split
from mt_fairseq.data.token_file import TokenWriter
from mt_fairseq.errors import UserError
from preprocess.merge_sources import Source
from preprocess.progress import progress
from preprocess.write_split import SPECIAL_TOKENS

SUMS = ("samples", "images", "tokens", "without_known_answer")


def merge_split(dest: Path, name: str, sources: list[Source], limit: int) -> dict[str, Any]:
    """Write the files of a split; gives its entry in metadata.json.

    A split that only one data-bin has keeps its ids and columns. Of several, samples are called
    ``NAME/ID``, ``image_id`` is the index of the picture (each data-bin counts its own groups), and
    columns that not all have alike are left out.
    """
    having = [source for source in sources if name in source.data.splits]
    splits = [source.data.split(name) for source in having]
    lengths = _write_texts(dest / f"{name}.text", having, splits)
    images = _images(name, having, splits)
    columns = _columns(splits)
    dropped = sorted({column for split in splits for column in split.columns} - set(columns))
    columns["image"] = ArrayColumn(images)
    if len(having) > 1:
        columns["sample_id"] = _ids(name, having, splits)
        if images.shape[1] == 1:
            columns["image_id"] = ArrayColumn(images[:, 0])
            dropped = [column for column in dropped if column != "image_id"]
    write_columns(dest / f"{name}.h5", columns)
    summary = _summary(name, having)
    if "answers" in columns:
        runs = [run for source, split in zip(having, splits, strict=True)
                for run in rule_runs(source.data.metadata, split)]  # fmt: skip
        summary[ANSWER_RULES] = joined_runs(runs)
    summary["longest_text"] = int(lengths.max())
    summary["longer_than_max_text_len"] = int((lengths + SPECIAL_TOKENS > limit).sum())
    if dropped:
        remark = f"not all have the columns {', '.join(dropped)}, so they are left out"
        summary["remark"] = f"{summary['remark']}; {remark}" if "remark" in summary else remark
    return summary


def _write_texts(prefix: Path, sources: list[Source], splits: list[Split]) -> np.ndarray[Any, Any]:
    """``.bin`` and ``.idx``; gives the length of each text."""
    symbols = len(sources[0].data.tokenizer.symbols)
    with atomic_file(prefix.with_name(prefix.name + ".bin")) as stream:
        writer = TokenWriter(stream, symbols)
        for split in splits:
            writer.extend(split.tokens)
    writer.write_index(prefix.with_name(prefix.name + ".idx"))
    return np.array(writer.lengths)


def _images(name: str, sources: list[Source], splits: list[Split]) -> np.ndarray[Any, Any]:
    """(n, K) int64: indices over all linked packs."""
    counts = [split.image_column.shape[1] for split in splits]
    for source, count in zip(sources, counts, strict=True):
        if count != counts[0]:
            raise UserError(
                f"{source.data.path}: split {name!r} has {count} pictures a sample, that of "
                f"{sources[0].data.path} {counts[0]}; choose others with --splits"
            )
    return np.concatenate([split.image_column + source.first_image
                           for source, split in zip(sources, splits, strict=True)])  # fmt: skip


def _columns(splits: list[Split]) -> dict[str, Any]:
    """The columns that all have alike, joined; and weights, which are 1 where a split has none."""
    files = [split.file.columns for split in splits]
    columns: dict[str, Any] = {}
    if any(ANSWER_WEIGHT in file for file in files):
        columns[ANSWER_WEIGHT] = ArrayColumn(np.concatenate([_weights(split) for split in splits]))
    shared = [column for column in files[0] if all(column in file for file in files)]
    shared = [column for column in shared if column not in columns]
    return columns | {
        column: JoinedColumn([file[column] for file in files])
        for column in shared
        if alike([file[column] for file in files])
    }


def _weights(split: Split) -> np.ndarray[Any, Any]:
    if ANSWER_WEIGHT in split.columns:
        return split.array(ANSWER_WEIGHT)
    return np.ones(len(split))


def _ids(name: str, sources: list[Source], splits: list[Split]) -> Buffer:
    """``NAME/ID`` of every sample."""
    column = TextColumn()
    with progress(f"{name} ids", "text", sum(map(len, splits))) as bar:
        for source, split in zip(sources, splits, strict=True):
            ids = split.file.columns["sample_id"]
            for i in range(len(split)):
                column.add(f"{source.name}/{ids[i]}")
                bar.update(1)
    return column


def _summary(name: str, sources: list[Source]) -> dict[str, Any]:
    """What the data-bins say of the split, added up."""
    told = [source.data.metadata["splits"][name] for source in sources]
    summary: dict[str, Any] = {
        key: sum(about[key] for about in told) for key in SUMS if all(key in x for x in told)
    }
    many = len(sources) > 1
    summary["skipped"] = [
        {**item, "record": f"{source.name}: {item['record']}" if many else item["record"]}
        for source, about in zip(sources, told, strict=True) for item in about["skipped"]
    ]  # fmt: skip
    remarks = [(f"{source.name}: " if many else "") + about["remark"]
               for source, about in zip(sources, told, strict=True)
               if "remark" in about]  # fmt: skip
    if remarks:
        summary["remark"] = "; ".join(remarks)
    return summary
