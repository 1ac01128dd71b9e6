"""Where tokenizers come from: trained on a corpus, taken from a transformers model, or reused."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mt_fairseq.data.files import read_json
from mt_fairseq.data.tokenizer import SPECIALS_FILE, TextTokenizer
from mt_fairseq.errors import UserError

SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>")
MAX_TRAINING_TEXTS = 2_000_000
"""SentencePiece keeps its corpus in memory; more texts than this do not change a small model."""
TEXTS_AT_ONCE = 1000
"""Texts that travel to the trainer in one message."""


def train_sentencepiece(texts: Iterable[str], vocab_size: int) -> TextTokenizer:
    """Train a byte-pair SentencePiece model; ids in fairseq's order, ``<mask>`` last.

    A process of its own trains: the memory that the corpus takes goes back when it ends.

    Args:
        texts: the corpus; equal corpora give equal models, byte for byte.
        vocab_size: symbols wanted, special ones included. A corpus too small for them gives fewer
            (compare ``len(tokenizer.symbols)``).

    Errors: UserError if ``vocab_size`` is below the number of different characters, or there is
    no text.
    """
    ours, theirs = multiprocessing.Pipe()
    trainer = multiprocessing.Process(
        target=_train_for, args=(ours, theirs, vocab_size), daemon=True
    )
    trainer.start()
    theirs.close()
    try:
        model = _have_trained(texts, ours)
    finally:
        ours.close()
        trainer.terminate()
        trainer.join()
    if isinstance(model, str):
        raise UserError(model)
    specials = {"bos": 0, "pad": 1, "eos": 2, "unk": 3}
    return TextTokenizer("sentencepiece", model, {**specials, "mask": _pieces(model)})


def _have_trained(texts: Iterable[str], trainer: Connection) -> bytes | str:
    """Send the corpus; gives the model, or why there is none."""
    rest = iter(texts)
    try:
        while block := list(itertools.islice(rest, TEXTS_AT_ONCE)):
            trainer.send(block)
        trainer.send([])
        model: bytes | str = trainer.recv()
    except (EOFError, ConnectionError) as error:
        raise UserError(
            "the process that trains the tokenizer was killed, most often for want of memory"
        ) from error
    return model


def _train_for(parent: Connection, texts: Connection, vocab_size: int) -> None:
    """In the trainer's process: receive the corpus, send the model or what went wrong."""
    parent.close()  # inherited; else this process would not notice the other's end
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    corpus = itertools.chain.from_iterable(iter(texts.recv, []))
    with suppress(EOFError, ConnectionError):  # the parent is gone
        try:
            model: bytes | str = _train(corpus, vocab_size)
        except Exception as error:  # RuntimeError and OSError of the C++ library
            model = _training_failed(error, vocab_size)
        texts.send(model)


def _train(texts: Iterator[str], vocab_size: int) -> bytes:
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts,
        model_writer=model,
        vocab_size=vocab_size - 1,  # <mask> comes after the model's own pieces
        model_type="bpe",  # on small corpora half the tokens of the default unigram model
        hard_vocab_limit=False,
        character_coverage=1.0,
        max_sentence_length=1 << 16,
        num_threads=1,  # sums of several threads could differ in their last bit
        bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        bos_piece=SPECIAL_PIECES[0], pad_piece=SPECIAL_PIECES[1],
        eos_piece=SPECIAL_PIECES[2], unk_piece=SPECIAL_PIECES[3],
        minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def _pieces(model: bytes) -> int:
    """How many symbols a model has; ``<mask>`` comes behind them."""
    import sentencepiece

    return int(sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size())


def _training_failed(error: Exception, vocab_size: int) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else type(error).__name__
    return (
        f"--vocab-size {vocab_size}: SentencePiece cannot train on this corpus ({reason}); "
        "the size must exceed the number of different characters in the texts"
    )


def from_transformers(name: str) -> TextTokenizer:
    """The tokenizer of a transformers model, with its own ids.

    Args:
        name: a hub name (needs the network once) or a local folder.

    Errors: UserError if it cannot be had, has no fast form, or lacks a special token.
    """
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        _must_be_folder(Path(name))
    try:
        tokenizer = _load_pretrained(name)
    except Exception as error:  # of huggingface_hub, httpx, json, tokenizers ...
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--tokenizer {name}: neither `sentencepiece`, a data-bin, a local folder with a "
            f"tokenizer, nor a name that the hub gives now ({reason})"
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"--tokenizer {name}: has no fast tokenizer (tokenizer.json)")
    content = tokenizer.backend_tokenizer.to_str().encode()
    return TextTokenizer("tokenizers", content, _special_ids(tokenizer, name))


def _load_pretrained(name: str) -> Any:
    """From a folder or the cache; from the hub only if it answers at the first attempt."""
    import huggingface_hub
    import transformers

    try:
        return transformers.AutoTokenizer.from_pretrained(name, local_files_only=True)
    except Exception:  # not in the cache
        if Path(name).is_dir():
            raise
    # from_pretrained would try to connect for most of a minute
    huggingface_hub.HfApi().model_info(name, timeout=10)
    return transformers.AutoTokenizer.from_pretrained(name)


def _must_be_folder(folder: Path) -> None:
    if not folder.expanduser().is_dir():
        raise UserError(f"--tokenizer {folder}: there is no such folder")


def _special_ids(tokenizer: Any, name: str) -> dict[str, int]:
    """bos, pad, eos, unk and mask; BERT's [CLS] and [SEP] serve as bos and eos."""
    found = {
        "bos": _first(tokenizer.bos_token_id, tokenizer.cls_token_id),
        "pad": tokenizer.pad_token_id,
        "eos": _first(tokenizer.eos_token_id, tokenizer.sep_token_id),
        "unk": tokenizer.unk_token_id,
        "mask": tokenizer.mask_token_id,
    }
    missing = [role for role, i in found.items() if i is None]
    if missing:
        raise UserError(
            f"--tokenizer {name}: has no {', '.join(missing)} token; take the tokenizer of a "
            "masked language model (RoBERTa, BERT, ...)"
        )
    return found


def _first(*ids: int | None) -> int | None:
    return next((i for i in ids if i is not None), None)


def is_data_bin_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer that :meth:`TextTokenizer.save` wrote."""
    if not (folder / SPECIALS_FILE).is_file() or not (folder / "metadata.json").is_file():
        return False
    try:
        return "bos_token" in read_json(folder / SPECIALS_FILE)
    except UserError:
        return False


def open_tokenizer(spec: str) -> TextTokenizer:
    """The tokenizer of a data-bin, a local folder, or a hub name; errors of from_transformers."""
    if is_data_bin_tokenizer(Path(spec)):
        return TextTokenizer.load(spec)
    return from_transformers(spec)
