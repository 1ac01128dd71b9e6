"""Masked words of a pre-training batch: which they are, where they stand and whose they are."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.data.test_length_groups import load


def test_masked_words_point_at_the_words_of_their_texts(caption_bin: Path) -> None:
    task = load(caption_bin, group_by_length=False)
    dataset, dictionary = task.datasets["train"], task.dictionary
    never = torch.tensor([dictionary.bos(), dictionary.pad(), dictionary.eos()])
    kept = 0
    for epoch in (1, 2):
        dataset.set_epoch(epoch)
        inputs = dataset.collater([dataset[index] for index in range(20)])["net_input"]
        tokens, masked_tokens = inputs["src_tokens"], inputs["masked_tokens"]
        rows, positions, words = (
            inputs["masked_words"][name] for name in ("rows", "positions", "words")
        )
        assert len(words) >= 20 and torch.equal(tokens[rows, positions], words)
        assert not torch.isin(words, never).any()
        places = rows * tokens.shape[1] + positions
        assert (places.diff() > 0).all()  # text after text, word after word
        elsewhere = torch.ones_like(tokens, dtype=torch.bool)
        elsewhere[rows, positions] = False
        assert torch.equal(tokens[elsewhere], masked_tokens[elsewhere])
        shown = masked_tokens[rows, positions]
        assert (shown == dictionary.mask_index).float().mean() > 0.5
        kept += int((shown == words).sum())
    assert kept > 0  # one in ten is to be predicted though it is shown


def test_no_samples_make_no_batch(caption_bin: Path) -> None:
    """fairseq's dummy batches are found by their emptiness."""
    assert load(caption_bin, group_by_length=False).datasets["valid"].collater([]) == {}
