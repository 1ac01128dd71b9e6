"""Text to dictionary ids and back, whatever library made the tokenizer.

Two kinds: ``sentencepiece`` (a model trained on the corpus) and ``tokenizers`` (the fast tokenizer
of a transformers model, in its JSON form). Both are rebuilt from plain data, so a checkpoint can
carry its tokenizer; neither needs transformers at run time.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from mt_fairseq.data.files import atomic_file, read_json, write_json, write_text
from mt_fairseq.errors import UserError

SENTENCEPIECE_FILE = "sentencepiece.bpe.model"
JSON_FILE = "tokenizer.json"
SPECIALS_FILE = "special_tokens_map.json"
ROLES = ("bos", "pad", "eos", "unk", "mask")
MASK = "<mask>"


class Backend(Protocol):
    """What a library must offer."""

    symbols: list[str]

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; text that looks like a special token stays text."""

    def decode(self, ids: list[int]) -> str:
        """Readable text."""


class SentencePieceBackend:
    """A SentencePiece model; ``<mask>`` is added after its last piece."""

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        pieces = self.processor.id_to_piece(list(range(self.processor.get_piece_size())))
        self.symbols = [*pieces, MASK]

    def encode(self, text: str) -> list[int]:
        """Ids of plain text."""
        ids: list[int] = self.processor.encode(text)
        return ids

    def decode(self, ids: list[int]) -> str:
        """Readable text."""
        return str(self.processor.decode(ids))


class JsonBackend:
    """A tokenizer of the ``tokenizers`` library."""

    def __init__(self, content: str) -> None:
        import tokenizers

        self.tokenizer = tokenizers.Tokenizer.from_str(content)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # "<mask>" in a caption is only text
        vocabulary = self.tokenizer.get_vocab(with_added_tokens=True)
        size = max(vocabulary.values()) + 1
        self.symbols = [f"madeupword{i:04d}" for i in range(size)]  # fairseq's name for a gap
        for symbol, i in vocabulary.items():
            self.symbols[i] = symbol

    def encode(self, text: str) -> list[int]:
        """Ids of plain text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: list[int]) -> str:
        """Readable text."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False)).strip()


class TextTokenizer:
    """One tokenizer with the ids of its special tokens.

    Args:
        kind: "sentencepiece" or "tokenizers".
        content: the model's bytes, or the JSON text as bytes.
        specials: ids of bos, pad, eos, unk and mask by these names.
    """

    def __init__(self, kind: str, content: bytes, specials: dict[str, int]) -> None:
        self.kind = kind
        self.content = content
        self.specials = {role: int(specials[role]) for role in ROLES}
        self.bos, self.pad, self.eos, self.unk, self.mask = self.specials.values()
        self._hidden = frozenset((self.bos, self.pad, self.eos, self.mask))
        self.backend: Backend = _backend(kind, content)
        self.symbols = self.backend.symbols

    def encode(self, text: str) -> list[int]:
        """Dictionary ids of ``text`` without special tokens."""
        return self.backend.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text; begin, end, padding and mask tokens are dropped."""
        return self.backend.decode([int(i) for i in ids if int(i) not in self._hidden])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that decides ids; equal for tokenizers that agree."""
        digest = hashlib.sha256(self.kind.encode())
        digest.update(json.dumps(self.specials, sort_keys=True).encode())
        digest.update(self.content)
        return digest.hexdigest()

    def state(self) -> dict[str, Any]:
        """Everything needed to rebuild this tokenizer, as plain strings and numbers."""
        return {
            "kind": self.kind,
            "content": base64.b64encode(self.content).decode(),
            "specials": dict(self.specials),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TextTokenizer:
        """Inverse of :meth:`state`."""
        try:
            content = base64.b64decode(state["content"])
            return cls(state["kind"], content, state["specials"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"this is not a stored tokenizer: {error!r}") from error

    def __getstate__(self) -> dict[str, Any]:
        return self.state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = self.from_state(state).__dict__

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files of a data-bin."""
        names = {f"{role}_token": self.symbols[i] for role, i in self.specials.items()}
        if self.kind == "sentencepiece":
            with atomic_file(folder / SENTENCEPIECE_FILE) as stream:
                stream.write(self.content)
        else:
            write_text(folder / JSON_FILE, self.content.decode())
        write_json(folder / SPECIALS_FILE, names)

    @classmethod
    def load(cls, folder: str | Path) -> TextTokenizer:
        """Read the files that :meth:`save` wrote."""
        folder = Path(folder)
        names = read_json(folder / SPECIALS_FILE)
        model = folder / SENTENCEPIECE_FILE
        kind, path = ("sentencepiece", model)
        if not model.is_file():
            kind, path = ("tokenizers", folder / JSON_FILE)
        if not path.is_file():
            raise UserError(f"{folder}: holds neither {SENTENCEPIECE_FILE} nor {JSON_FILE}")
        content = path.read_bytes()
        symbols = _backend(kind, content).symbols
        try:
            specials = {role: symbols.index(names[f"{role}_token"]) for role in ROLES}
        except (KeyError, ValueError) as error:
            raise UserError(f"{folder / SPECIALS_FILE}: does not fit the tokenizer") from error
        return cls(kind, content, specials)


def _backend(kind: str, content: bytes) -> Backend:
    backends: dict[str, Any] = {
        "sentencepiece": SentencePieceBackend,
        "tokenizers": lambda data: JsonBackend(data.decode()),
    }
    if kind not in backends:
        raise UserError(f"tokenizer kind {kind!r} is unknown; it is one of {sorted(backends)}")
    try:
        made: Backend = backends[kind](content)
    except Exception as error:  # both libraries raise bare exceptions of their own
        raise UserError(f"the stored {kind} tokenizer is damaged ({error})") from error
    return made
