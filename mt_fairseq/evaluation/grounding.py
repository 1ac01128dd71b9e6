"""Visual grounding: boxes as hypotheses of fairseq-generate, and their accuracy.

An answer is right where its box and the true one overlap by half or more (intersection over union).
Two baselines stand beside it, over the same proposals: the one nearest to the middle of the
picture, and one drawn at random (its expected accuracy, nothing is drawn).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import register_scorer
from numpy.typing import NDArray
from torch import Tensor

from mt_fairseq.data.batches import GroundingBatch, ImageTextInputs
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.dictionary import TextDictionary
from mt_fairseq.data.grounding_dataset import Boxes, box_text
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.boxes import RIGHT_IOU, box_scores, overlap
from mt_fairseq.evaluation.generator import Hypothesis
from mt_fairseq.evaluation.recall import grouped_interval
from mt_fairseq.evaluation.task_scorer import TaskScorer

HeatMaps = Callable[[Any, ImageTextInputs], Tensor]


class BoxDictionary(TextDictionary):
    """The text dictionary, with boxes named by the ids that follow its own.

    fairseq-generate takes its dictionaries before any data is read, so the boxes come later.
    """

    boxes: Boxes | None = None

    def string(
        self,
        tensor: Any,
        bpe_symbol: str | None = None,
        escape_unk: bool = False,
        extra_symbols_to_ignore: Iterable[int] | None = None,
        unk_string: str | None = None,
        include_eos: bool = False,
        separator: str = " ",
    ) -> str:
        """A text's words; for the id of a box its x, y, width and height in pixels."""
        ids = torch.as_tensor(tensor)
        if self.boxes is not None and ids.dim() == 1 and bool((ids >= len(self)).any()):
            return separator.join(box_text(self.boxes.box(i - len(self))) for i in ids.tolist())
        return super().string(tensor, bpe_symbol, escape_unk, extra_symbols_to_ignore)


class BoxGenerator:
    """Gives every expression its ``nbest`` proposals by the heat inside, best first.

    Args:
        dictionary: names the boxes.
        nbest: hypotheses to give, at most as many as there are proposals.
        heat_maps: makes (B, rows, columns) from a model and a batch's ``net_input``.
    """

    def __init__(self, dictionary: BoxDictionary, nbest: int, heat_maps: HeatMaps) -> None:
        self.dictionary = dictionary
        self.nbest = nbest
        self.heat_maps = heat_maps
        self.eos = dictionary.eos()
        self.symbols_to_strip_from_output = {self.eos, dictionary.pad()}

    def generate(
        self,
        models: list[Any],
        sample: GroundingBatch,
        prefix_tokens: Tensor | None = None,
        constraints: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each expression; ``score`` is heat over the square root of the area."""
        if len(models) > 1:
            raise UserError("--path: grounding takes one checkpoint, not several")
        maps = self.heat_maps(models[0].eval(), sample["net_input"]).float().cpu()
        if not bool(torch.isfinite(maps).all()):
            raise UserError(
                "the model's heat maps are not finite numbers: evaluate without --fp16, or an "
                "earlier checkpoint"
            )
        rows = zip(
            sample["id"].tolist(), maps, sample["proposals"], sample["image_sizes"], strict=True
        )
        return [self._best(row, heat, boxes, *size) for row, heat, boxes, size in rows]

    def _best(
        self, row: int, heat: Tensor, proposals: list[list[float]], height: int, width: int
    ) -> list[Hypothesis]:
        assert self.dictionary.boxes is not None
        scores = np.asarray(box_scores(heat, proposals, width, height))
        order = np.argsort(-scores, kind="stable")[: self.nbest]  # the first of equal ones
        return [
            {
                "tokens": torch.tensor(
                    [len(self.dictionary) + self.dictionary.boxes.number(row, p)]
                ),
                "score": float(scores[p]),
                "positional_scores": torch.tensor([scores[p]]),
                "alignment": None,
            }
            for p in order.tolist()
        ]


@dataclass(frozen=True)
class Chosen:
    """The best proposals of one expression, by place among its proposals, with their scores."""

    proposals: list[int]
    scores: list[float]


class BoxResults:
    """What was chosen for each expression of a split."""

    def __init__(self, data_bin: DataBin, boxes: Boxes, first_id: int) -> None:
        self.data_bin = data_bin
        self.boxes = boxes
        self.first_id = first_id
        self.options: dict[str, Any] = {}
        self.chosen: dict[int, Chosen] = {}

    def add(self, ids: list[int], hypotheses: list[list[Hypothesis]]) -> None:
        """Take a batch's hypotheses; ``ids`` are the samples' rows in the split."""
        for row, best in zip(ids, hypotheses, strict=True):
            numbers = [int(hypothesis["tokens"][0]) - self.first_id for hypothesis in best]
            self.chosen[row] = Chosen(
                [self.boxes.proposal(row, number) for number in numbers],
                [float(hypothesis["score"]) for hypothesis in best],
            )

    def missing(self) -> list[int]:
        """Rows of the split without an answer."""
        return [row for row in range(len(self.boxes)) if row not in self.chosen]

    def dump(self) -> Iterator[dict[str, Any]]:
        """Row, proposals and scores of each answer."""
        for row, one in self.chosen.items():
            yield {"row": row, "proposals": one.proposals, "scores": one.scores}

    def load(self, answer: dict[str, Any]) -> None:
        """Inverse of ``dump``, one answer at a time."""
        self.chosen[answer["row"]] = Chosen(answer["proposals"], answer["scores"])


def middle_proposal(boxes: NDArray[np.float64], height: int, width: int) -> int:
    """The proposal of (n, 4) whose centre is nearest to the picture's, the first of equal ones."""
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    return int(np.square(centres - [width / 2, height / 2]).sum(axis=1).argmin())


@dataclass
class BoxAccuracyConfig(FairseqDataclass):
    """The accuracy of boxes has no options."""


@register_scorer("box_accuracy", dataclass=BoxAccuracyConfig)
class BoxAccuracyScorer(TaskScorer):
    """Share of expressions whose best proposal overlaps the true box by half or more."""

    name = "box_accuracy"
    answers: BoxResults

    @classmethod
    def collection(cls, data_bin: DataBin, split: str, **options: Any) -> BoxResults:
        return BoxResults(data_bin, Boxes(data_bin, split), len(data_bin.dictionary))

    @cached_property
    def rows(self) -> list[int]:
        """Rows of the split that were answered; asked for at the end."""
        return sorted(self.answers.chosen)

    def overlaps(self, row: int) -> NDArray[np.float64]:
        """Intersection over union of each proposal of a sample with the true box."""
        boxes = self.answers.boxes
        own = boxes.own(row)
        assert own is not None
        return np.asarray([overlap(box, own) for box in boxes.proposals(row).tolist()])

    def score_report(self) -> dict[str, Any]:
        """Accuracy with its interval, of the baselines, and of the best choice of all."""
        if not self.answers.boxes.known or not self.rows:
            return {"score": None, "ci95": None, "scored": 0}
        right = [self.overlaps(row) >= RIGHT_IOU for row in self.rows]
        boxes = self.answers.boxes
        first = [
            r[self.answers.chosen[row].proposals[0]]
            for row, r in zip(self.rows, right, strict=True)
        ]
        middle = [
            r[middle_proposal(boxes.proposals(row), *boxes.size(row))]
            for row, r in zip(self.rows, right, strict=True)
        ]
        return {
            **self._figures(first),
            "scored": len(self.rows),
            "centre_box": self._figures(middle),
            "random_proposal": self._figures([r.mean() for r in right]),
            "best_proposal": self._figures([r.any() for r in right]),
        }

    def _figures(self, credits: Sequence[Any]) -> dict[str, Any]:
        """Mean in percent and its bounds; expressions about one picture belong together."""
        values = np.asarray(credits, np.float64)
        pictures = np.asarray([int(self.answers.boxes.split.images(row)[0]) for row in self.rows])
        low, high = grouped_interval([(values, pictures)])
        return {"score": 100 * float(values.mean()), "ci95": [low, high]}

    def records(self) -> list[dict[str, Any]]:
        return [self._record(row) for row in self.rows]

    def _record(self, row: int) -> dict[str, Any]:
        answers, boxes = self.answers, self.answers.boxes
        one = answers.chosen[row]
        proposals = boxes.proposals(row).tolist()
        known = boxes.known
        iou = float(self.overlaps(row)[one.proposals[0]]) if known else None
        return {
            "id": boxes.split.sample_id(row),
            "image": answers.data_bin.images.key(int(boxes.split.images(row)[0])),
            "text": answers.data_bin.dictionary.string(boxes.split.text(row)),
            "prediction": proposals[one.proposals[0]],
            "answers": [proposals[number] for number in one.proposals],
            "scores": one.scores,
            "reference": boxes.own(row),
            "iou": iou,
            "credit": None if iou is None else float(iou >= RIGHT_IOU),
        }

    def result_string(self) -> str:
        """``box accuracy 63.42 (95% CI 60.10-66.70) over 1141 expressions | centre box ...``."""
        report = self.score_report()
        if report["score"] is None:
            return "box accuracy: no references"
        parts = [f"box accuracy {_in_words(report)} over {report['scored']} expressions"]
        for name in ("centre_box", "random_proposal", "best_proposal"):
            parts.append(f"{name.replace('_', ' ')} {_in_words(report[name])}")
        return " | ".join(parts)


def _in_words(figures: dict[str, Any]) -> str:
    low, high = figures["ci95"]
    return f"{figures['score']:.2f} (95% CI {low:.2f}-{high:.2f})"
