"""easy-VQA's train split (github.com/vzhou842/easy-VQA) as JSON lines, the last tenth held back.

Writes train.jsonl, valid.jsonl, and open.jsonl: those of train that yes or no does not answer.

python examples/easy_vqa/to_jsonl.py EASY_VQA/data --out RAW
"""

from __future__ import annotations

import json
from pathlib import Path

from mt_fairseq.command_line import Parser, folder_to_write
from mt_fairseq.errors import UserError, cli_entry

HELD_BACK = 10  # one picture in so many, the last ones, is for validation


def convert(data: Path, out: Path) -> dict[str, int]:
    """Write a file per split; returns how many questions each holds.

    Raises UserError if ``data`` is not the folder that holds ``train/questions.json``.
    """
    source = data / "train" / "questions.json"
    if not source.is_file():
        raise UserError(f"{source}: no such file; name the folder easy_vqa/data of the repository")
    questions = json.loads(source.read_text())
    pictures = sorted({image for _, _, image in questions})
    held_back = set(pictures[-(len(pictures) // HELD_BACK) :])
    lines: dict[str, list[str]] = {"train": [], "open": [], "valid": []}
    for question, answer, image in questions:
        path = (data / "train" / "images" / f"{image}.png").resolve()
        line = json.dumps({"image": str(path), "text": question, "answers": [answer]})
        lines["valid" if image in held_back else "train"].append(line)
        if image not in held_back and answer not in ("yes", "no"):
            lines["open"].append(line)
    out.mkdir(parents=True, exist_ok=True)
    for split, records in lines.items():
        (out / f"{split}.jsonl").write_text("\n".join(records) + "\n")
    return {split: len(records) for split, records in lines.items()}


def main(argv: list[str] | None = None) -> int:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder easy_vqa/data of a checkout")
    parser.add_argument(
        "--out", type=folder_to_write, required=True, help="folder for the JSON lines"
    )
    args = parser.parse_args(argv)
    for split, count in convert(args.data, args.out).items():
        print(f"{split}: {count} questions")
    return 0


if __name__ == "__main__":
    raise SystemExit(cli_entry(main)())
