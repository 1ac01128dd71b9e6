"""Cleaning of texts against ALBEF's official code."""

from __future__ import annotations

import json
from pathlib import Path

from mt_fairseq.data.text_cleaning import clean_caption, clean_question, cleaned

FUNCTIONS = {"pre_caption": clean_caption, "pre_question": clean_question}


def test_every_golden_case(shared_dir: Path) -> None:
    """Two functions, each with limits of 30 and of 5 words."""
    recorded = json.loads((shared_dir / "golden_albef" / "text_cleaning.json").read_text())
    assert len(recorded) == 4
    for name, cases in recorded.items():
        function, words = name.rsplit("_", 1)
        for raw, expected in cases:
            assert FUNCTIONS[function](raw, int(words)) == expected, (name, raw)


def test_by_name() -> None:
    text = "Is <person>  left, or right?"
    assert cleaned(text, None) == text
    assert cleaned(text, "albef-captions") == "is person left or right"
    assert cleaned(text, "albef-questions") == "is <person>  left or right"
