"""What was found for each query, and the scorer ``fairseq-generate --scoring recall``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import register_scorer

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.evaluation.generator import Hypothesis
from mt_fairseq.evaluation.recall import CUTS, RecallReport, recall_report
from mt_fairseq.evaluation.retrieval_items import DIRECTIONS, ItemDictionary, RetrievalItems
from mt_fairseq.evaluation.task_scorer import TaskScorer


@dataclass(frozen=True)
class Found:
    """What one query found.

    Attributes:
        rank: of the best right item among all, from 1.
        items: the best items, the best first.
        scores: their match logits; similarities where nothing was ranked again.
    """

    rank: int
    items: list[int]
    scores: list[float]


class RetrievalResults:
    """What the queries of a split found.

    Args:
        items: texts and images of the split.
        dictionary: names the items in hypotheses.
        direction: "image", "text" or "both".
    """

    def __init__(self, items: RetrievalItems, dictionary: ItemDictionary, direction: str) -> None:
        self.items = items
        self.dictionary = dictionary
        self.direction = direction
        self.options = {"direction": direction}
        self.found: dict[int, Found] = {}

    def add(self, ids: list[int], hypotheses: list[list[Hypothesis]]) -> None:
        """Take a batch's hypotheses; the first of each query tells the rank."""
        for query, best in zip(ids, hypotheses, strict=True):
            items = [self.dictionary.id_to_item(int(h["tokens"][0])) for h in best]
            scores = [float(h["score"]) for h in best]
            self.found[query] = Found(int(best[0]["rank"]), items, scores)

    def missing(self) -> list[int]:
        """Queries without an answer."""
        return [q for q in self.items.queries(self.direction) if q not in self.found]

    def dump(self) -> Iterator[dict[str, Any]]:
        """Query, rank, items and scores of each answer."""
        for query, found in self.found.items():
            yield {"query": query, **asdict(found)}

    def load(self, answer: dict[str, Any]) -> None:
        """Inverse of ``dump``, one answer at a time."""
        found = Found(answer["rank"], answer["items"], answer["scores"])
        self.found[answer["query"]] = found

    def image(self, query: int) -> int:
        """Number of the image that a query is, or that its text describes."""
        texts = self.items.texts
        return int(self.items.image_of_text[query]) if query < texts else query - texts

    def report(self) -> RecallReport:
        """Recall over the queries that were answered."""
        by_direction: dict[str, tuple[list[int], list[int]]] = {}
        for direction in DIRECTIONS:
            queries = [q for q in sorted(self.found) if self.items.direction(q) == direction]
            if queries:
                ranks = [self.found[q].rank for q in queries]
                by_direction[direction] = ranks, [self.image(q) for q in queries]
        return recall_report(by_direction)

    def record(self, query: int) -> dict[str, Any]:
        """One line of results.jsonl."""
        items, found = self.items, self.found[query]
        is_text = query < items.texts
        names = [items.name(item) for item in found.items]
        return {
            "id": items.split.sample_id(query) if is_text else items.name(query),
            "direction": items.direction(query),
            "image": items.name(items.texts + self.image(query)),
            "text": self.dictionary.string(items.split.text(query)) if is_text else None,
            "prediction": names[0],
            "answers": names,
            "scores": found.scores,
            "reference": [items.name(item) for item in items.right(query)],
            "rank": found.rank,
            "credit": float(found.rank == 1),
        }


@dataclass
class RecallConfig(FairseqDataclass):
    """Recall has no options."""


@register_scorer("recall", dataclass=RecallConfig)
class RecallScorer(TaskScorer):
    """Recall at 1, 5 and 10 of what a retrieval task found."""

    name = "recall"
    answers: RetrievalResults

    @classmethod
    def collection(cls, data_bin: DataBin, split: str, **options: Any) -> RetrievalResults:
        dictionary = ItemDictionary(data_bin.tokenizer)
        return RetrievalResults(RetrievalItems(data_bin, split), dictionary, **options)

    def score_report(self) -> dict[str, Any]:
        """The mean recall, RSUM, and each direction's recalls."""
        report = self.answers.report()
        return {
            "score": report.mean,
            "ci95": list(report.ci95),
            "scored": report.queries,
            "rsum": report.rsum,
            "rsum_ci95": [bound * report.count for bound in report.ci95],
            **{f"{name}_retrieval": part.as_json() for name, part in report.directions.items()},
        }

    def records(self) -> list[dict[str, Any]]:
        return [self.answers.record(query) for query in sorted(self.answers.found)]

    def result_string(self) -> str:
        return describe(self.answers.report())


def describe(report: RecallReport) -> str:
    """``recall: images R@1 56.12 R@5 ... | texts R@1 ... | RSUM 541.20, mean 90.20 (...) ...``."""
    parts = [
        f"{name}s " + " ".join(f"R@{k} {part.recall[k]:.2f}" for k in CUTS)
        for name, part in report.directions.items()
    ]
    low, high = report.ci95
    parts.append(
        f"RSUM {report.rsum:.2f}, mean {report.mean:.2f} (95% CI {low:.2f}-{high:.2f}) "
        f"over {report.queries} queries"
    )
    return "recall: " + " | ".join(parts)
