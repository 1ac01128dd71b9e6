"""Data-bins about coloured squares, with classes or answers in an order of one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from preprocess.__main__ import main as preprocess
from tests.support import COLOURS, draw_square

Target = str | list[str]


def colour_bin(
    dest: Path,
    targets: Mapping[str, Sequence[Target]],
    classes: Sequence[str],
    tokenizer: Path | None = None,
) -> Path:
    """A data-bin whose dict.label.txt holds ``classes``; raw files stand beside it.

    Args:
        targets: split -> what is said of each of its pictures, a class or a list of answers. The
            picture shows the colour of that name, or of the first answer.
        tokenizer: a data-bin that has one; trained on these texts without.
    """
    raw = dest.with_name(f"{dest.name}-raw")
    for split, said in targets.items():
        lines = []
        for index, target in enumerate(said):
            name = f"images/{split}-{index}.png"
            colour = target if isinstance(target, str) else target[0]
            draw_square(raw / name, colour if colour in COLOURS else "green", index)
            kind = "label" if isinstance(target, str) else "answers"
            lines.append(json.dumps({"image": name, "text": "what colour is it ?", kind: target}))
        (raw / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    listed = raw / "classes.txt"
    listed.write_text("\n".join(classes) + "\n")
    preprocess(
        ["jsonl", "--raw", str(raw), "--dest", str(dest), "--workers", "1", "--vocab-size", "30",
         "--answer-list", str(listed), "--tokenizer", str(tokenizer or "sentencepiece")]
    )  # fmt: skip
    return dest
