"""Writes the folder of an evaluation; ``runs`` reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import write_text
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.runs import RESULTS, SCORE
from mt_fairseq.evaluation.task_scorer import TaskScorer


def json_lines(records: list[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def check_output(folder: Path, names: list[str], overwrite: bool) -> None:
    """Make the folder; UserError if results lie there already and are not to be replaced."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: is a file; name a folder")
    present = [name for name in names if (folder / name).exists()]
    if present and not overwrite:
        raise UserError(
            f"--out {folder}: holds {present[0]} already; name another folder or add --overwrite"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {folder}: can't be made ({error.strerror})") from error


@contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """Where the work fails that would have filled a new folder, the folder goes as well."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # not if it holds anything
        raise


def write_run(
    folder: Path,
    facts: dict[str, Any],
    scorer: TaskScorer,
    seconds: float,
    generated: Path | None = None,
) -> None:
    """Write results.jsonl, what servers take, and score.json.

    score.json goes first and comes last, so that its presence means that all is there and fits.

    Args:
        facts: what was evaluated and how: the beginning of score.json.
        seconds: that it took.
        generated: fairseq-generate's output, to be moved there.

    Raises UserError if samples were not answered.
    """
    missing = len(scorer.missing())
    if missing:
        raise UserError(f"{missing} samples of split {facts['split']} were not answered")
    records = scorer.records()
    score = {
        **facts,
        "samples": len(records),
        **scorer.score_report(),
        "seconds": round(seconds, 1),
    }
    (folder / SCORE).unlink(missing_ok=True)
    if generated is not None:
        generated.replace(folder / generated.name)
    write_text(folder / RESULTS, json_lines(records))
    for name, content in scorer.submissions().items():
        write_text(folder / name, content)
    write_text(folder / SCORE, json.dumps(score, ensure_ascii=False, indent=2) + "\n")
