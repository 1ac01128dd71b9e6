"""Images for captions and captions for images, on pictures of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from examples.demo import commands
from examples.demo.baselines import interval
from examples.demo.commands import SPLIT
from examples.demo.demo import Demo
from examples.demo.report import Report, Row, best_answers
from examples.demo.stages import Stage
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.retrieval_items import DIRECTIONS, RetrievalItems

METRIC = "recall at 1"
TOPK = "16"  # captions are short: beyond the most similar, many fit a picture as well


class RetrievalDemo(Demo):
    """Captions and pictures in Flickr30K's files; what is ranked first is right or wrong."""

    name = "retrieval"
    page = "flickr30k"
    updates = 1200
    lr = 6e-4

    def stages(self) -> list[Stage]:
        places, settings = self.places, self.settings
        world = places.world(self.name)
        raw = world / "flickr30k"
        updates = settings.finetuning_updates or self.updates
        lr = settings.finetuning_lr or self.lr
        return [
            commands.world_stage(f"{self.name}-world", world, ("flickr30k",)),
            commands.data_stage(
                self.name, "flickr30k", raw, raw, places, settings, self.pretrained
            ),
            commands.finetuning_stage(
                self.name, "itc_itm", updates, lr, places, settings, self.pretrained
            ),
            self.generate(SPLIT),
            commands.shuffle_stage(self.name, places),
            self.generate("shuffled"),
        ]

    def generate(self, pictures: str) -> Stage:
        """The command that ranks, with the captions' own pictures or with others."""
        options = ("--retrieval-topk", TOPK)
        return commands.generate_stage(self.name, pictures, "recall", self.places, *options)

    def report(self) -> Report:
        own, shuffled = (self.hits(name) for name in (SPLIT, "shuffled"))
        items = self.items(SPLIT)
        chance = np.array([len(items.right(query)) for query in range(len(items))], float)
        chance[: items.texts] /= len(items.images)
        chance[items.texts :] /= items.texts
        rows = [
            _row("ManagerTower, pictures and texts", own, items),
            _row("the same, pictures shuffled", shuffled, items),
            _row("random ranking", chance, items),
        ]
        gains = [_mean_of_both(hits - chance, items) for hits in (own, shuffled)]
        return Report(METRIC, "captions and pictures", len(items), rows, gains[0], gains[1])

    def items(self, pictures: str) -> RetrievalItems:
        """Captions and pictures as they stand together in the data-bin that was ranked."""
        own = pictures == SPLIT
        data = self.places.data(self.name) if own else self.places.shuffled(self.name)
        return RetrievalItems(DataBin(data), SPLIT)

    def hits(self, pictures: str) -> NDArray[np.float64]:
        """1 for each query whose best item is right, else 0."""
        items, path = self.items(pictures), self.places.answers(self.name, pictures)
        with path.open(encoding="utf-8") as lines:
            best = best_answers(lines)
        if len(best) < len(items):
            raise UserError(f"{path}: answers {len(best)} of {len(items)} queries")
        return np.array(
            [best[q] in [items.name(right) for right in items.right(q)] for q in range(len(items))],
            float,
        )


def _mean_of_both(values: NDArray[np.float64], items: RetrievalItems) -> tuple[float, float, float]:
    """The mean of both directions' means, and its bounds; a picture goes with its captions."""
    directions = np.array([items.direction(query) for query in range(len(items))])
    weights = np.ones(len(items))
    for direction in DIRECTIONS:
        chosen = directions == direction
        weights[chosen] = len(items) / (len(DIRECTIONS) * chosen.sum())
    groups = np.concatenate([items.image_of_text, np.arange(len(items.images))])
    return interval(weights * values, groups.tolist())


def _row(name: str, values: NDArray[np.float64], items: RetrievalItems) -> Row:
    texts = items.texts
    by_kind = {"images": 100 * values[:texts].mean(), "captions": 100 * values[texts:].mean()}
    return Row(name, *_mean_of_both(values, items), {k: float(v) for k, v in by_kind.items()})
