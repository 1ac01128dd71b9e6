"""``python -m mt_fairseq.evaluate merge``: parts that several processes answered, as one result."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mt_fairseq.command_line import Parser, existing_path, parse_shard
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.files import read_json, write_json, write_text
from mt_fairseq.data.json_text import parse_json
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.run_files import check_output, json_lines, write_run
from mt_fairseq.evaluation.runs import RESULTS, SCORE
from mt_fairseq.evaluation.task_scorer import Answered, TaskScorer

PART, ANSWERS = "part.json", "answers.jsonl"

EPILOG = f"""\
Every PART is a folder that `evaluate --shard I/N --out PART` wrote; all N are needed. The merged
folder holds the {SCORE} and {RESULTS} of a single run (seconds are those of all parts together).
The data-bin must be where the parts were answered; no checkpoint is needed.

example, the first two lines on two machines:
  python -m mt_fairseq.evaluate checkpoints/coco data-bin/coco --shard 1/2 --out part1
  python -m mt_fairseq.evaluate checkpoints/coco data-bin/coco --shard 2/2 --out part2
  python -m mt_fairseq.evaluate merge part1 part2 --out results/coco
"""


def write_part(
    folder: Path,
    facts: dict[str, Any],
    shard: str,
    scorer: TaskScorer,
    seconds: float,
    generated: Path,
) -> None:
    """Write the answers of a process that answered a part of a split; part.json comes last.

    Arguments as for ``write_run``.
    """
    (folder / PART).unlink(missing_ok=True)
    generated.replace(folder / generated.name)
    write_text(folder / ANSWERS, json_lines(list(scorer.answers.dump())))
    part = {"facts": facts, "options": scorer.answers.options, "shard": shard, "seconds": seconds}
    write_json(folder / PART, part)


def read_parts(folders: list[Path]) -> list[dict[str, Any]]:
    """The parts' descriptions, with ``folder``; UserError unless together they are one whole."""
    parts = []
    for folder in folders:
        if not (folder / PART).is_file():
            raise UserError(
                f"{folder}: has no {PART}; name folders that `python -m mt_fairseq.evaluate "
                "--shard` wrote"
            )
        parts.append({**read_json(folder / PART), "folder": folder})
    first = parts[0]
    for part in parts[1:]:
        for key in ("facts", "options"):
            if part[key] != first[key]:
                name = next(n for n in first[key] if part[key].get(n) != first[key][n])
                raise UserError(
                    f"{part['folder']}: has {name} {part[key].get(name)}, {first['folder']} has "
                    f"{first[key][name]}: parts of different evaluations"
                )
    _check_complete(parts)
    return parts


def _check_complete(parts: list[dict[str, Any]]) -> None:
    count = parse_shard(parts[0]["shard"])[1]
    seen: dict[int, Path] = {}
    for part in parts:
        number, other_count = parse_shard(part["shard"])
        if other_count != count:
            raise UserError(f"{part['folder']}: is part {part['shard']}, others are of {count}")
        if number in seen:
            raise UserError(f"{part['folder']}: is part {part['shard']}, as {seen[number]} is")
        seen[number] = part["folder"]
    lacking = [f"{number}/{count}" for number in range(1, count + 1) if number not in seen]
    if lacking:
        raise UserError(f"part {', '.join(lacking)} is missing: a merge needs all {count}")


def scorer_over(parts: list[dict[str, Any]]) -> TaskScorer:
    """A scorer over the answers of all parts."""
    import importlib

    importlib.import_module("mt_fairseq.plugin")  # registers the scorers
    from fairseq.scoring import SCORER_REGISTRY
    from omegaconf import OmegaConf

    facts = parts[0]["facts"]
    kind: type[TaskScorer] = SCORER_REGISTRY[facts["scoring"]]
    answers = kind.collection(DataBin(facts["data"]), facts["split"], **parts[0]["options"])
    for part in parts:
        path = part["folder"] / ANSWERS
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    answers.load(parse_json(line))
                except (json.JSONDecodeError, KeyError, IndexError) as error:
                    raise UserError(f"{path}: line {number}: no answer of this split") from error
    scorer = kind(OmegaConf.create())
    scorer.take(Answered(facts["task"], answers))
    return scorer


def main(argv: list[str]) -> int:
    """Run the command; UserError for parts that don't belong together."""
    parser = Parser(
        prog="python -m mt_fairseq.evaluate merge",
        description="Join what several processes answered into one result.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "parts", type=existing_path, nargs="+", metavar="PART", help="folder of a part"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace results in --out")
    args = parser.parse_args(argv)
    parts = read_parts(args.parts)
    scorer = scorer_over(parts)
    names = [SCORE, RESULTS, *scorer.submission_files(scorer.task)]
    check_output(args.out, names, args.overwrite)
    write_run(args.out, parts[0]["facts"], scorer, sum(part["seconds"] for part in parts))
    print(scorer.result_string())
    written = [name for name in names if (args.out / name).is_file()]
    print(f"written to {args.out}: {', '.join(written)}")
    return 0
