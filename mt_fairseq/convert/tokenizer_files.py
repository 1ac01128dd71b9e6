"""A tokenizer's files: ours, and beside them what transformers' AutoTokenizer reads."""

from __future__ import annotations

from pathlib import Path

from mt_fairseq.data.files import write_json
from mt_fairseq.data.tokenizer import TextTokenizer


def save_tokenizer(tokenizer: TextTokenizer, folder: Path) -> None:
    """Write a tokenizer; one made by SentencePiece is not in a form that transformers reads."""
    tokenizer.save(folder)
    if tokenizer.kind != "tokenizers":
        return
    names = {f"{role}_token": tokenizer.symbols[i] for role, i in tokenizer.specials.items()}
    names |= {"cls_token": names["bos_token"], "sep_token": names["eos_token"]}
    write_json(
        folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    )
