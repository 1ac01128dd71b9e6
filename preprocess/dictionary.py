"""``dict.txt``: the tokenizer's symbols as fairseq reads them."""

from __future__ import annotations

from pathlib import Path

from mt_fairseq.data import tokenizer_build
from mt_fairseq.data.files import write_text
from mt_fairseq.data.tokenizer import TextTokenizer


def write_dictionary(dest: Path, tokenizer: TextTokenizer) -> None:
    """Write ``dict.txt`` in the order of the tokenizer's ids."""
    words = tokenizer.symbols
    # fairseq's Dictionary.load brings these four by itself
    start = 4 if words[:4] == list(tokenizer_build.SPECIAL_PIECES) else 0
    write_text(dest / "dict.txt", "".join(f"{word} 1\n" for word in words[start:]))
