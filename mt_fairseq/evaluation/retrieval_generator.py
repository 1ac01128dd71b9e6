"""Ranks the queries of a split, and hands fairseq-generate what they found as hypotheses.

A query's rank needs the whole gallery, and a gallery that does not fit into memory must be worked
through in an order of its own. So all queries of this process are ranked at its first batch;
fairseq's loop then reads the answers off.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mt_fairseq.data.batches import QueryBatch
from mt_fairseq.evaluation.generator import Hypothesis
from mt_fairseq.evaluation.pair_scores import TowerScorer
from mt_fairseq.evaluation.ranking import Shortlist, Side, rerank, shortlist
from mt_fairseq.evaluation.retrieval_items import Pictures, QueryDataset, distinct_texts

LOG_SECONDS = 60.0  # between two lines of progress where standard error is a file


@dataclass(frozen=True)
class Workload:
    """What this process is to rank, and how.

    Attributes:
        queries: numbers of its queries, ascending.
        topk: items of each query that are ranked again; None for all, 0 for none.
        nbest: items of each query to report.
        cache_bytes: for encoded texts and images.
        batch_size: pairs, and images, a pass.
        workers: processes that read images.
    """

    queries: list[int]
    topk: int | None
    nbest: int
    cache_bytes: int
    batch_size: int
    workers: int


@dataclass(frozen=True)
class Answers:
    """What the queries of one direction found.

    Attributes:
        row: query number -> row.
        ranks: (n,) of the best right item.
        items: (n, nbest) numbers of the best items.
        scores: (n, nbest) of them.
    """

    row: dict[int, int]
    ranks: Tensor
    items: Tensor
    scores: Tensor

    @classmethod
    def of(cls, lists: Shortlist, nbest: int, first_query: int, first_item: int) -> Answers:
        """The best of ranked lists; queries and items are numbered from ``first_...`` on."""
        row = {first_query + query: i for i, query in enumerate(lists.queries.tolist())}
        items, scores = (part.cpu() for part in lists.best(nbest))
        return cls(row, lists.ranks().cpu(), items + first_item, scores)


class RetrievalGenerator:
    """Gives every query its ``nbest`` items as hypotheses of one item id.

    Args:
        model: in evaluation mode, with heads itm and, but for METER's fine-tuning, itc.
        dataset: the queries.
        workload: which of them, and how.
    """

    def __init__(self, model: nn.Module, dataset: QueryDataset, workload: Workload) -> None:
        self.dictionary = dataset.dictionary
        self.eos = self.dictionary.eos()
        self.symbols_to_strip_from_output = {self.eos, self.dictionary.pad()}
        self.model = model
        self.dataset = dataset
        self.workload = workload

    @cached_property
    def answers(self) -> tuple[Answers, Answers]:
        """What the text queries found, and the image queries; ranked when first asked for."""
        image_lists, text_lists = rank_queries(self.model, self.dataset, self.workload)
        texts, nbest = self.dataset.items.texts, self.workload.nbest
        return (
            Answers.of(image_lists, nbest, first_query=0, first_item=texts),
            Answers.of(text_lists, nbest, first_query=texts, first_item=0),
        )

    def generate(
        self, models: list[nn.Module], sample: QueryBatch, **kwargs: Any
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each query of a batch, best first.

        As fairseq-generate reads them; ``score`` is the logit of "match", or the similarity where
        nothing is ranked again, and ``rank`` that of the query's best right item.
        """
        return [self.hypotheses(query) for query in sample["id"].tolist()]

    def hypotheses(self, query: int) -> list[Hypothesis]:
        """What one query found."""
        answers = next(answers for answers in self.answers if query in answers.row)
        row = answers.row[query]
        rank = int(answers.ranks[row])
        return [
            {
                "tokens": torch.tensor([self.dictionary.item_id(item)]),
                "score": score,
                "positional_scores": torch.tensor([score]),
                "alignment": None,
                "rank": rank,
            }
            for item, score in zip(
                answers.items[row].tolist(), answers.scores[row].tolist(), strict=True
            )
        ]


def rank_queries(
    model: nn.Module, dataset: QueryDataset, workload: Workload
) -> tuple[Shortlist, Shortlist]:
    """The ranked lists of the text queries and of the image queries of a workload."""
    items = dataset.items
    texts, text_rows = distinct_texts(dataset.samples)
    pictures = Pictures(items, dataset.samples)
    scorer = TowerScorer(
        model,
        texts,
        pictures,
        cache_bytes=workload.cache_bytes if workload.topk != 0 else 0,
        batch_size=workload.batch_size,
        workers=workload.workers,
    )
    with progress("encode", len(texts) + len(pictures), "item") as bar:
        text_features, image_features = scorer.features(bar.update)
    device = text_features.device
    numbers = torch.arange(len(pictures), device=device)
    sides = {
        "text": Side(
            text_features, text_rows.to(device), torch.from_numpy(items.image_of_text).to(device)
        ),
        "image": Side(image_features, numbers, numbers),
    }
    queries = torch.tensor(workload.queries, dtype=torch.long, device=device)
    text_queries, image_queries = (
        queries[queries < items.texts],
        queries[queries >= items.texts] - items.texts,
    )
    width = max(len(texts_or_images) for texts_or_images in sides.values())
    if workload.topk is not None:
        width = workload.topk or workload.nbest
    image_lists = shortlist(sides["text"], sides["image"], width, text_queries)
    text_lists = shortlist(sides["image"], sides["text"], width, image_queries)
    if workload.topk != 0:
        pairs = image_lists.items.numel() + text_lists.items.numel()
        with progress("rank", pairs, "pair") as bar:
            rerank(scorer, image_lists, text_lists, sides["text"].rows, bar.update)
    return image_lists, text_lists


@contextmanager
def progress(description: str, total: int, unit: str) -> Iterator[Any]:
    """A bar with rate and time left; a line now and then where standard error is a file."""
    seconds = 0.2 if sys.stderr.isatty() else LOG_SECONDS
    with tqdm(
        desc=description, total=total, unit=unit, mininterval=seconds, maxinterval=seconds + 10
    ) as bar:
        yield bar
