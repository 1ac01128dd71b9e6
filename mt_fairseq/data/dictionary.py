"""fairseq dictionaries over a tokenizer and over class labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from fairseq.data import Dictionary

from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError


class TextDictionary(Dictionary):
    """The tokenizer's symbols under the tokenizer's ids, whatever their order.

    Attributes:
        answered: what a model answers, for scorers, which fairseq gives the target dictionary.
    """

    answered: Any = None

    def __init__(self, tokenizer: TextTokenizer) -> None:
        words = tokenizer.symbols
        super().__init__(
            bos=words[tokenizer.bos],
            pad=words[tokenizer.pad],
            eos=words[tokenizer.eos],
            unk=words[tokenizer.unk],
            add_special_symbols=False,
        )
        self.tokenizer = tokenizer
        self.symbols = list(words)
        self.count = [1] * len(words)
        self.indices = {word: i for i, word in enumerate(words)}
        self.bos_index, self.pad_index = tokenizer.bos, tokenizer.pad
        self.eos_index, self.unk_index = tokenizer.eos, tokenizer.unk
        self.mask_index = tokenizer.mask
        # fairseq takes ids below nspecial for special ones (BERT: its unused words as well);
        # where the special ones come last, that notion has no use.
        last = max(tokenizer.bos, tokenizer.pad, tokenizer.eos, tokenizer.unk)
        self.nspecial = last + 1 if 2 * last < len(words) else 0

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of begin, padding, end, unknown and mask."""
        return frozenset(self.tokenizer.specials.values())

    def string(
        self,
        tensor: Any,
        bpe_symbol: str | None = None,
        escape_unk: bool = False,
        extra_symbols_to_ignore: Iterable[int] | None = None,
        unk_string: str | None = None,
        include_eos: bool = False,
        separator: str = " ",
    ) -> str:
        """Readable text of ids (T,), or one line a row for (B, T).

        The tokenizer joins its own pieces, so ``--post-process`` has nothing left to do.
        """
        if torch.is_tensor(tensor) and tensor.dim() == 2:
            return "\n".join(self.string(row) for row in tensor)
        ignore = set(extra_symbols_to_ignore or ())
        return self.tokenizer.decode(int(i) for i in tensor if int(i) not in ignore)

    def encode_line(
        self,
        line: str,
        line_tokenizer: Callable[[str], list[str]] | None = None,
        add_if_not_exist: bool = False,
        consumer: Callable[[str, int], None] | None = None,
        append_eos: bool = True,
        reverse_order: bool = False,
    ) -> torch.Tensor:
        """Ids of a line of text (the tokenizer decides; nothing is ever added)."""
        ids = self.tokenizer.encode(line)
        return torch.tensor([*ids, self.eos_index] if append_eos else ids, dtype=torch.int32)


class LabelDictionary(Dictionary):
    """Class labels, one symbol each, behind fairseq's special symbols.

    Args:
        labels: in class order; they may hold spaces, and one may be empty.
        pad: index of the padding symbol; fairseq strips source texts with the *target*
            dictionary's padding, so it must be the text dictionary's.

    Attributes:
        answered: as of ``TextDictionary``.
    """

    answered: Any = None

    def __init__(self, labels: Sequence[str], pad: int = 1) -> None:
        super().__init__(add_special_symbols=False)
        specials = ["<s>", "</s>", "<unk>"]
        while len(specials) < pad:
            specials.append(f"madeupword{len(specials):04d}")
        specials.insert(pad, "<pad>")
        self.labels = list(labels)
        self.nspecial = len(specials)
        self.symbols = specials + self.labels
        self.count = [1] * len(self.symbols)
        self.bos_index, self.pad_index = specials.index("<s>"), pad
        self.eos_index, self.unk_index = specials.index("</s>"), specials.index("<unk>")
        self.indices = {label: i for i, label in enumerate(self.labels, self.nspecial)}
        if len(self.indices) != len(self.labels):
            twice = next(x for x in self.labels if self.labels.count(x) > 1)
            raise UserError(f"label {twice!r} stands twice among the classes")

    def class_to_id(self, index: int) -> int:
        """Dictionary id of a class."""
        return self.nspecial + index

    def id_to_class(self, i: int) -> int:
        """Class of a dictionary id; -1 for special symbols."""
        return max(int(i) - self.nspecial, -1)

    def string(
        self,
        tensor: Any,
        bpe_symbol: str | None = None,
        escape_unk: bool = False,
        extra_symbols_to_ignore: Iterable[int] | None = None,
        unk_string: str | None = None,
        include_eos: bool = False,
        separator: str = " ",
    ) -> str:
        """The label as it is, spaces included; ``--post-process`` must not touch it."""
        if torch.is_tensor(tensor) and tensor.dim() == 2:
            return "\n".join(self.string(row) for row in tensor)
        ignore = {self.bos_index, self.pad_index, self.eos_index, *(extra_symbols_to_ignore or ())}
        return separator.join(self.symbols[int(i)] for i in tensor if int(i) not in ignore)

    def encode_line(
        self,
        line: str,
        line_tokenizer: Callable[[str], list[str]] | None = None,
        add_if_not_exist: bool = False,
        consumer: Callable[[str, int], None] | None = None,
        append_eos: bool = True,
        reverse_order: bool = False,
    ) -> torch.Tensor:
        """The whole line is one label; a label that is not there is the unknown symbol."""
        i = self.indices.get(line, self.unk_index)
        return torch.tensor([i, self.eos_index] if append_eos else [i], dtype=torch.int32)
