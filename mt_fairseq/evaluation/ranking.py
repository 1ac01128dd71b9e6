"""Two-stage ranking of texts and images: contrastive similarity first, then pairs fused.

ALBEF, section 3.5 (Li et al., 2021), as ManagerTower evaluates retrieval: of each query's items
the k most similar are ranked again by the image-text matching logit of "match"; all other items
stand below them, in the order of their similarity. Ties go to the more similar item, and then to
the one with the lower number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Range = tuple[int, int]
"""First number, and the number behind the last."""

BLOCK_ELEMENTS = 1 << 18
"""Similarities that are sorted at once: about 8 MB with their order."""


@dataclass
class Shortlist:
    """The most similar items of some queries, the most similar first.

    Attributes:
        queries: (n,) numbers of the queries.
        items: (n, k) int32 numbers of the items.
        right: (n, k) boolean: does the item belong to the query?
        first_right: (n,) rank from 1, by similarity among all items, of the first right one.
        scores: (n, k) float32: the similarities, until ``rerank`` puts match scores in their place.
    """

    queries: Tensor
    items: Tensor
    right: Tensor
    first_right: Tensor
    scores: Tensor

    def fill(self, rows: Tensor, similarity: Tensor, groups: Tensor, item_groups: Tensor) -> None:
        """Rank all items for the queries in ``rows`` (b,), by their similarity (b, items)."""
        similarity, order = similarity.sort(dim=1, descending=True, stable=True)
        right = groups[:, None] == item_groups[order]
        if not right.any(1).all():
            raise ValueError("a query has no right item")
        width = self.items.shape[1]
        self.items[rows] = order[:, :width].int()
        self.right[rows] = right[:, :width]
        self.first_right[rows] = right.int().argmax(1) + 1
        self.scores[rows] = similarity[:, :width]

    def order(self) -> Tensor:
        """(n, k): positions in the shortlist, the best score first."""
        return self.scores.argsort(dim=1, descending=True, stable=True)

    def ranks(self) -> Tensor:
        """(n,) rank from 1 of each query's best right item among all items."""
        right = self.right.gather(1, self.order())
        within = right.int().argmax(1) + 1 if right.shape[1] else self.first_right
        return torch.where(right.any(1), within, self.first_right)

    def best(self, count: int) -> tuple[Tensor, Tensor]:
        """The ``count`` best items and their scores, both (n, count) or as wide as the list."""
        order = self.order()[:, :count]
        return self.items.gather(1, order), self.scores.gather(1, order)


@dataclass(frozen=True)
class Side:
    """Texts or images as both queries and items.

    Attributes:
        features: (u, E) normalised contrastive features; equal items may share a row.
        rows: (n,) the row of each item in ``features``.
        groups: (n,) items and queries of equal groups belong together.
    """

    features: Tensor
    rows: Tensor
    groups: Tensor

    def __len__(self) -> int:
        return len(self.rows)


def similarity_blocks(queries: Side, items: Side) -> Iterable[tuple[int, int]]:
    """Ranges of queries that are compared with all items at once.

    They don't depend on which of the queries are asked for, so that several processes which share
    the work compute the same numbers to the last bit.
    """
    step = max(1, BLOCK_ELEMENTS // max(1, len(items)))
    for begin in range(0, len(queries), step):
        yield begin, min(begin + step, len(queries))


def shortlist(queries: Side, items: Side, count: int, asked: Tensor) -> Shortlist:
    """The ``count`` most similar items of the queries numbered ``asked`` (n,), ascending.

    Every query must have a right item, else ValueError.
    """
    size = (len(asked), min(count, len(items)))
    found = Shortlist(
        queries=asked,
        items=asked.new_zeros(size, dtype=torch.int32),
        right=asked.new_zeros(size, dtype=torch.bool),
        first_right=torch.zeros_like(asked),
        scores=asked.new_zeros(size, dtype=torch.float32),
    )
    for begin, end in similarity_blocks(queries, items):
        here = ((asked >= begin) & (asked < end)).nonzero()[:, 0]
        if len(here):
            similarity = queries.features[queries.rows[begin:end]] @ items.features.T
            similarity = similarity[asked[here] - begin].float()[:, items.rows]
            found.fill(here, similarity, queries.groups[asked[here]], items.groups)
    return found


class PairScorer(Protocol):
    """Match scores of pairs; texts and images come in blocks, as memory allows."""

    def blocks(self) -> Iterable[tuple[Range, Range]]:
        """Ranges of texts and of images that together hold every pair once."""

    def scores(self, texts: Tensor, images: Tensor, advance: Callable[[int], None]) -> Tensor:
        """(p,) float32 for pairs within the current block, ordered by image, then by text.

        ``advance`` is told the number of pairs whenever some are done.
        """


def rerank(
    scorer: PairScorer,
    image_lists: Shortlist,
    text_lists: Shortlist,
    text_rows: Tensor,
    advance: Callable[[int], None] = lambda pairs: None,
) -> None:
    """Put match scores into the shortlists of both directions, block by block.

    A pair that stands in both directions' lists, or in the lists of equal texts, is scored once.

    Args:
        image_lists: texts as queries, images as items.
        text_lists: images as queries, texts as items.
        text_rows: (texts,) the number that ``scorer`` knows a text by; equal texts share one.
        advance: told how many places of the lists have got their scores.
    """
    for texts, images in scorer.blocks():
        places = [
            Places.of(image_lists, texts, images, text_rows[image_lists.queries], by_text=True),
            Places.of(text_lists, texts, images, text_rows, by_text=False),
        ]
        width = texts[1] - texts[0]
        keys = [(p.images - images[0]) * width + p.texts - texts[0] for p in places]
        pairs, place_of = torch.cat(keys).unique(return_inverse=True)
        if not len(pairs):
            continue
        scores = scorer.scores(pairs % width + texts[0], pairs // width + images[0], advance)
        for own, found in zip(places, place_of.split([len(key) for key in keys]), strict=True):
            own.lists.scores[own.rows, own.columns] = scores[found]
        advance(len(place_of) - len(pairs))


@dataclass(frozen=True)
class Places:
    """Places of a list whose pairs lie in a block: (p,) rows and columns, texts and images."""

    lists: Shortlist
    rows: Tensor
    columns: Tensor
    texts: Tensor
    images: Tensor

    @classmethod
    def of(
        cls, lists: Shortlist, texts: Range, images: Range, text_rows: Tensor, by_text: bool
    ) -> Places:
        """Places in lists of texts' images (``by_text``), or in lists of images' texts.

        ``text_rows`` gives each text of the lists, a query or an item, its number.
        """
        if by_text:
            rows = within(text_rows, texts).nonzero()[:, 0]
            found, columns = within(lists.items[rows], images).nonzero(as_tuple=True)
            rows = rows[found]
            return cls(lists, rows, columns, text_rows[rows], lists.items[rows, columns].long())
        rows = within(lists.queries, images).nonzero()[:, 0]
        numbers = text_rows[lists.items[rows].long()]
        found, columns = within(numbers, texts).nonzero(as_tuple=True)
        rows = rows[found]
        return cls(lists, rows, columns, numbers[found, columns], lists.queries[rows])


def within(numbers: Tensor, limits: Range) -> Tensor:
    """Which numbers lie in a range."""
    return (numbers >= limits[0]) & (numbers < limits[1])
