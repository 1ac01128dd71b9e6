"""The data-bins that a merge takes, and whether they fit together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError


@dataclass(frozen=True)
class Source:
    """A data-bin, what its keys and ids begin with, and the index that its first image gets."""

    name: str
    data: DataBin
    first_image: int


def open_sources(arguments: list[str]) -> list[Source]:
    """Open ``FOLDER`` or ``NAME=FOLDER`` each; UserError for the same name twice."""
    if len(arguments) < 2:
        raise UserError("merge needs two data-bins or more")
    named = [_named(argument) for argument in arguments]
    for i, (name, folder) in enumerate(named):
        for other, other_folder in named[:i]:
            if folder.resolve() == other_folder.resolve():
                raise UserError(f"{folder}: named twice")
            if name == other:
                raise UserError(
                    f"{other_folder} and {folder} are both called {name!r}, and keys of their "
                    f"images would collide; give one a name of its own: NAME={folder}"
                )
    bins = [DataBin(folder) for _, folder in named]
    starts = accumulate((len(data.images) for data in bins), initial=0)
    return [Source(name, data, start)
            for (name, _), data, start in zip(named, bins, starts, strict=False)]  # fmt: skip


def _named(argument: str) -> tuple[str, Path]:
    name, equals, folder = argument.partition("=")
    if not equals or Path(argument).exists():
        path = Path(argument)
        return path.resolve().name, path
    if not name or "/" in name or not folder:
        raise UserError(f"{argument}: write NAME=FOLDER, with a name without `/`")
    return name, Path(folder)


def check_alike(sources: list[Source]) -> None:
    """UserError unless all have the same tokenizer and cleaning of texts."""
    first = sources[0]
    for source in sources[1:]:
        token, other = first.data.metadata["tokenizer"], source.data.metadata["tokenizer"]
        if token["fingerprint"] != other["fingerprint"]:
            raise UserError(
                f"{source.data.path}: its tokenizer is not that of {first.data.path}; write it "
                f"again with --tokenizer {first.data.path}"
            )
        if first.data.text_cleaning != source.data.text_cleaning:
            raise UserError(
                f"{source.data.path}: was written with --clean-text {source.data.text_cleaning}, "
                f"{first.data.path} with {first.data.text_cleaning}; write one of them again"
            )


def common_labels(sources: list[Source]) -> list[str] | None:
    """The classes of those that have any; UserError if they differ."""
    having = [source for source in sources if source.data.labels is not None]
    for source in having[1:]:
        if source.data.labels != having[0].data.labels:
            raise UserError(
                f"{source.data.path}: its classes are not those of {having[0].data.path}; for "
                f"questions write it again with --answer-list {having[0].data.path}/dict.label.txt"
            )
    return having[0].data.labels if having else None
