"""fairseq dictionaries: ids equal the tokenizer's; labels survive fairseq-generate's handling."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fairseq import utils
from fairseq.data import Dictionary

from mt_fairseq.data.dictionary import LabelDictionary, TextDictionary
from mt_fairseq.data.tokenizer_build import from_transformers, train_sentencepiece
from mt_fairseq.errors import UserError

from .conftest import CORPUS

LABELS = ["", "new york 1", "yes", "tennis racket", "<unk>", "</s>", "2 @@ 3", "café"]


def test_ids_equal_the_tokenizers(roberta_folder: Path, bert_folder: Path) -> None:
    makers = [train_sentencepiece(CORPUS, 100), from_transformers(str(roberta_folder)),
              from_transformers(str(bert_folder))]  # fmt: skip
    for tokenizer in makers:
        dictionary = TextDictionary(tokenizer)
        assert [dictionary[i] for i in range(len(dictionary))] == tokenizer.symbols
        assert dictionary.bos() == tokenizer.bos and dictionary.pad() == tokenizer.pad
        assert dictionary.eos() == tokenizer.eos and dictionary.unk() == tokenizer.unk
        assert dictionary.mask_index == tokenizer.mask
        assert dictionary.index(tokenizer.symbols[-2]) == len(dictionary) - 2
        assert dictionary.special_ids == frozenset(tokenizer.specials.values())


def test_bert_keeps_its_ids(bert_folder: Path) -> None:
    dictionary = TextDictionary(from_transformers(str(bert_folder)))
    assert (dictionary.pad(), dictionary.bos(), dictionary.eos()) == (0, 7, 8)
    assert dictionary.nspecial == 9


@pytest.mark.parametrize("bpe", [None, "sentencepiece", "subword_nmt"])
def test_text_string_is_readable(bpe: str | None) -> None:
    tokenizer = train_sentencepiece(CORPUS, 100)
    dictionary = TextDictionary(tokenizer)
    text = "A red square stands left of the green digit seven."
    ids = torch.tensor([0, *tokenizer.encode(text), 2, 1, 1])
    assert dictionary.string(ids, bpe) == text
    assert dictionary.string(torch.stack([ids, ids])) == f"{text}\n{text}"
    assert dictionary.encode_line(text).tolist() == ids[1:-2].tolist()


@pytest.mark.parametrize("pad", [0, 1, 3, 6])
def test_labels(pad: int) -> None:
    dictionary = LabelDictionary(LABELS, pad)
    assert dictionary.pad() == pad
    specials = {dictionary.bos(), dictionary.pad(), dictionary.eos(), dictionary.unk()}
    assert len(specials) == 4
    assert len(dictionary) == dictionary.nspecial + len(LABELS)
    for k, label in enumerate(LABELS):
        i = dictionary.class_to_id(k)
        assert i not in specials and dictionary.id_to_class(i) == k
        for bpe in (None, "sentencepiece", "subword_nmt", "@@ "):
            assert dictionary.string(torch.tensor([i]), bpe, escape_unk=True) == label
        assert dictionary.encode_line(label).tolist() == [i, dictionary.eos()]
        assert dictionary.string(torch.tensor([i, dictionary.eos(), dictionary.pad()])) == label
    assert dictionary.id_to_class(dictionary.eos()) == -1
    assert dictionary.encode_line("never seen", append_eos=False).tolist() == [dictionary.unk()]


@pytest.mark.parametrize("bpe", [None, "sentencepiece"])
def test_labels_through_fairseqs_own_post_processing(bpe: str | None) -> None:
    dictionary = LabelDictionary(LABELS)
    for k, label in enumerate(LABELS):
        tokens = torch.tensor([dictionary.class_to_id(k)])
        back, text, _ = utils.post_process_prediction(
            tokens, src_str="?", alignment=None, align_dict=None, tgt_dict=dictionary,
            remove_bpe=bpe,
        )  # fmt: skip
        assert text == label and int(back[0]) == int(tokens[0])


def test_label_twice() -> None:
    with pytest.raises(UserError, match="'b' stands twice"):
        LabelDictionary(["a", "b", "b"])


def test_dictionaries_compare_as_fairseqs() -> None:
    tokenizer = train_sentencepiece(CORPUS, 100)
    assert TextDictionary(tokenizer) == TextDictionary(tokenizer)
    assert isinstance(TextDictionary(tokenizer), Dictionary)
