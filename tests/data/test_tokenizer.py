"""Tokenizers of three kinds behind one class, with real models."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from mt_fairseq.data import tokenizer_build
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.data.tokenizer_build import from_transformers, open_tokenizer, train_sentencepiece
from mt_fairseq.errors import UserError

from .conftest import CORPUS

TEXT = "Is there a red circle? No, two digits."


@pytest.fixture(params=["sentencepiece", "roberta", "bert"])
def tokenizer(request: pytest.FixtureRequest) -> TextTokenizer:
    if request.param == "sentencepiece":
        return train_sentencepiece(CORPUS, 120)
    return from_transformers(str(request.getfixturevalue(f"{request.param}_folder")))


def test_round_trip_of_text(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode(TEXT)
    assert ids and all(0 <= i < len(tokenizer.symbols) for i in ids)
    around = [tokenizer.bos, *ids, tokenizer.eos, tokenizer.pad, tokenizer.pad]
    assert tokenizer.decode(around).replace(" ", "") == TEXT.replace(" ", "")


def test_text_never_becomes_a_special_token(tokenizer: TextTokenizer) -> None:
    for text in ("<s> <mask> </s> <pad>", "[MASK] [CLS] [SEP] [PAD]"):
        hidden = {tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.mask}
        assert not hidden & set(tokenizer.encode(text))


def test_state_folder_and_pickle_keep_everything(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    state = json.loads(json.dumps(tokenizer.state()))
    tokenizer.save(tmp_path)
    copies = [
        TextTokenizer.from_state(state),
        TextTokenizer.load(tmp_path),
        pickle.loads(pickle.dumps(tokenizer)),
    ]
    for copy in copies:
        assert copy.fingerprint == tokenizer.fingerprint
        assert copy.symbols == tokenizer.symbols and copy.specials == tokenizer.specials
        assert copy.encode(TEXT) == tokenizer.encode(TEXT)


def test_unicode(tokenizer: TextTokenizer) -> None:
    for text in ("Wo ist der Löwe? 狮子在哪里", "😀 ‮ é", "\x00\x01", "  "):
        assert isinstance(tokenizer.decode(tokenizer.encode(text)), str)


def test_sentencepiece_ids_are_in_fairseqs_order() -> None:
    tokenizer = train_sentencepiece(CORPUS, 120)
    assert tokenizer.symbols[:4] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert tokenizer.symbols[-1] == "<mask>" and tokenizer.mask == 119
    assert len(tokenizer.symbols) == 120


def test_sentencepiece_is_deterministic() -> None:
    assert train_sentencepiece(CORPUS, 90).content == train_sentencepiece(CORPUS, 90).content


def test_small_corpus_gives_fewer_symbols() -> None:
    size = len(train_sentencepiece(["a red square", "a blue dot"], 8000).symbols)
    assert 10 < size < 100


@pytest.mark.parametrize(("texts", "size"), [(CORPUS, 12), ([], 100), (["", " "], 100)])
def test_impossible_training(texts: list[str], size: int) -> None:
    with pytest.raises(UserError, match="--vocab-size"):
        train_sentencepiece(texts, size)


@pytest.mark.parametrize("name", ["roberta", "bert"])
def test_ids_are_those_of_transformers(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(f"{name}_folder")
    theirs, ours = AutoTokenizer.from_pretrained(folder), from_transformers(str(folder))
    assert ours.encode(TEXT) == theirs(TEXT, add_special_tokens=False)["input_ids"]
    full = theirs.convert_ids_to_tokens(range(len(theirs)))
    assert ours.symbols == full
    assert (ours.pad, ours.mask) == (theirs.pad_token_id, theirs.mask_token_id)
    assert (ours.bos, ours.eos) == (theirs.cls_token_id, theirs.sep_token_id)


def test_missing_folder_and_folder_without_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_tokenizer(str(tmp_path / "none"))
    with pytest.raises(UserError, match="neither"):
        open_tokenizer(str(tmp_path))


def test_hub_name_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's network is cut for this process; the library itself is the real one."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(UserError, match=r"--tokenizer some-org/no-such-model: .*hub") as error:
        open_tokenizer("some-org/no-such-model")
    assert "\n" not in str(error.value)


def test_tokenizer_without_mask_token(bert_folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no mask token"):
        from_transformers(str(tmp_path))


def test_damaged_state() -> None:
    with pytest.raises(UserError):
        TextTokenizer.from_state({"kind": "sentencepiece"})
    with pytest.raises(UserError, match="kind"):
        TextTokenizer.from_state({"kind": "x", "content": "", "specials": dict.fromkeys(
            ("bos", "pad", "eos", "unk", "mask"), 0)})  # fmt: skip


def test_killed_trainer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_build, "_train", lambda *_: os._exit(9))
    with pytest.raises(UserError, match="trains the tokenizer was killed"):
        train_sentencepiece((f"word {i}" for i in range(100_000)), 50)
    assert multiprocessing.active_children() == []


def test_an_error_in_the_texts_ends_the_trainer() -> None:
    def texts() -> Iterator[str]:
        yield from ["one", "two"] * 2000
        raise UserError("the file is cut off")

    with pytest.raises(UserError, match="cut off"):
        train_sentencepiece(texts(), 50)
    assert multiprocessing.active_children() == []
