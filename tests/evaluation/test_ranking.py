"""Two-stage ranking against the plain definition over whole matrices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mt_fairseq.evaluation import ranking
from mt_fairseq.evaluation.ranking import Range, Shortlist, Side, rerank, shortlist


class MatrixScorer:
    """Match scores from a matrix (distinct texts, images); refuses what the interface forbids."""

    def __init__(self, matches: Tensor, text_block: int = 99, image_block: int = 99) -> None:
        self.matches = matches
        self.steps = (text_block, image_block)
        self.block = ((0, 0), (0, 0))
        self.asked: list[tuple[int, int]] = []

    def blocks(self) -> Iterator[tuple[Range, Range]]:
        texts, images = (
            [(i, min(i + step, count)) for i in range(0, count, step)]
            for step, count in zip(self.steps, self.matches.shape, strict=True)
        )
        for self.block in itertools.product(texts, images):
            yield self.block

    def scores(self, texts: Tensor, images: Tensor, advance: Callable[[int], None]) -> Tensor:
        pairs = list(zip(images.tolist(), texts.tolist(), strict=True))
        assert pairs == sorted(set(pairs))
        for numbers, limits in zip((texts, images), self.block, strict=True):
            assert all(limits[0] <= number < limits[1] for number in numbers.tolist())
        self.asked += [(text, image) for image, text in pairs]
        advance(len(texts))
        return self.matches[texts, images]


def naive(similarity: np.ndarray, matches: np.ndarray, right: np.ndarray, k: int):
    """Best right rank and whole order of every query: candidates first, by match, then the rest."""
    ranks, orders = [], []
    for sims, scores, own in zip(similarity, matches, right, strict=True):
        items = sorted(range(len(sims)), key=lambda i: (-sims[i], i))
        candidates = sorted(items[:k], key=lambda i: -scores[i])  # stable: ties keep similarity
        orders.append(candidates + items[k:])
        ranks.append(1 + min(orders[-1].index(i) for i in np.flatnonzero(own)))
    return ranks, orders


@st.composite
def worlds(draw: st.DrawFn):
    """Small integer similarities and match scores, so that ties abound; equal texts among them."""
    images = draw(st.integers(1, 7))
    owners = list(range(images)) + draw(st.lists(st.integers(0, images - 1), max_size=8))
    distinct = draw(st.integers(1, len(owners)))
    rows = draw(st.lists(st.integers(0, distinct - 1), min_size=len(owners), max_size=len(owners)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    similarity = rng.integers(0, 4, (distinct, images)).astype(np.float32)
    matches = rng.integers(0, 4, (distinct, images)).astype(np.float32)
    return rng.permutation(owners), np.array(rows), similarity, matches


def sides(owners: np.ndarray, rows: np.ndarray, similarity: np.ndarray) -> tuple[Side, Side]:
    """Features whose products are exactly the similarities: the images' are unit vectors."""
    images = similarity.shape[1]
    texts = Side(torch.tensor(similarity), torch.tensor(rows), torch.tensor(owners))
    return texts, Side(torch.eye(images), torch.arange(images), torch.arange(images))


def part(count: int, shard: int, shards: int) -> Tensor:
    return torch.arange(count)[shard::shards]


@settings(max_examples=150, deadline=None)
@given(
    world=worlds(),
    k=st.integers(0, 9),
    blocks=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    shards=st.integers(1, 3),
    elements=st.integers(1, 40),
)
def test_equals_the_plain_definition(world, k, blocks, shards, elements):
    owners, rows, similarity, matches = world
    texts, images = sides(owners, rows, similarity)
    expected = {
        "image": naive(similarity[rows], matches[rows], owners[:, None] == range(len(images)), k),
        "text": naive(
            similarity[rows].T, matches[rows].T, np.arange(len(images))[:, None] == owners, k
        ),
    }
    before, ranking.BLOCK_ELEMENTS = ranking.BLOCK_ELEMENTS, elements
    try:
        for shard in range(shards):
            image_lists = shortlist(texts, images, k, part(len(texts), shard, shards))
            text_lists = shortlist(images, texts, k, part(len(images), shard, shards))
            scorer = MatrixScorer(torch.tensor(matches), *blocks)
            if k:
                rerank(scorer, image_lists, text_lists, texts.rows)
            for lists, direction in ((image_lists, "image"), (text_lists, "text")):
                ranks, orders = expected[direction]
                assert lists.ranks().tolist() == ranks[shard::shards]
                best = lists.best(k)[0].tolist()
                assert best == [order[:k] for order in orders[shard::shards]]
            assert len(set(scorer.asked)) == len(scorer.asked)
    finally:
        ranking.BLOCK_ELEMENTS = before


def nobody(lists: Shortlist) -> Shortlist:
    """Lists of no queries at all."""
    none = torch.zeros(0, dtype=torch.long)
    return Shortlist(none, lists.items[:0], lists.right[:0], none, lists.scores[:0])


def test_a_candidate_is_scored_and_nothing_else():
    similarity = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]).numpy()
    texts, images = sides(np.array([0, 2]), np.array([0, 1]), similarity)
    lists = shortlist(texts, images, 2, torch.arange(2))
    scorer = MatrixScorer(torch.tensor([[0.0, 5.0, 9.0], [9.0, 1.0, 0.0]]), image_block=2)
    told: list[int] = []
    rerank(scorer, lists, nobody(lists), texts.rows, told.append)
    assert scorer.asked == [(0, 0), (0, 1), (1, 1), (1, 2)]
    assert sum(told) == 4
    # the third image of text 0 has the best match score, but was no candidate
    assert lists.best(2)[0].tolist() == [[1, 0], [1, 2]]
    assert lists.best(1)[1].tolist() == [[5.0], [1.0]]
    assert lists.ranks().tolist() == [2, 2]


def test_a_pair_of_both_directions_and_of_equal_texts_is_scored_once():
    texts, images = sides(np.array([0, 1]), np.array([0, 0]), np.array([[1, 1]], np.float32))
    lists = (
        shortlist(texts, images, 2, torch.arange(2)),
        shortlist(images, texts, 2, torch.arange(2)),
    )
    scorer = MatrixScorer(torch.tensor([[1.0, 2.0]]))
    told: list[int] = []
    rerank(scorer, *lists, texts.rows, told.append)
    assert scorer.asked == [(0, 0), (0, 1)] and sum(told) == 8
    assert lists[0].scores.tolist() == [[1, 2], [1, 2]]
    assert lists[1].scores.tolist() == [[1, 1], [2, 2]]


def test_ties_go_to_the_more_similar_then_to_the_lower_number():
    texts, images = sides(np.array([1]), np.array([0]), np.array([[1, 1, 2, 1]], np.float32))
    texts = Side(texts.features, texts.rows, torch.tensor([3]))
    lists = shortlist(texts, images, 3, torch.arange(1))
    assert lists.items.tolist() == [[2, 0, 1]] and lists.ranks().tolist() == [4]
    rerank(MatrixScorer(torch.zeros(1, 4)), lists, nobody(lists), texts.rows)
    assert lists.best(3)[0].tolist() == [[2, 0, 1]]


def test_a_query_without_right_item_is_refused():
    texts, images = sides(np.array([0]), np.array([0]), np.array([[1, 1]], np.float32))
    with pytest.raises(ValueError, match="no right item"):
        shortlist(images, texts, 1, torch.arange(2))


def test_an_empty_part():
    texts, images = sides(np.array([0]), np.array([0]), np.array([[1]], np.float32))
    lists = shortlist(texts, images, 5, torch.arange(0))
    assert isinstance(lists, Shortlist) and lists.items.shape == (0, 1)
    rerank(MatrixScorer(torch.zeros(1, 1)), lists, nobody(lists), texts.rows)
    assert lists.ranks().tolist() == []
