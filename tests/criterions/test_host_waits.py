"""A training step never asks the device for a number, so the host can run ahead of it.

Tensors on the meta device have sizes and no values: whatever needs a value to go on (``item``,
``tolist``, ``nonzero``, a mask as an index) raises an error there.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq.utils import apply_to_sample

from mt_fairseq.criterions.classification import ClassificationCriterion
from mt_fairseq.criterions.itc_itm import ItcItmCriterion
from mt_fairseq.criterions.itm_ranking import ItmRankingCriterion
from mt_fairseq.criterions.mlm_itm import MlmItmCriterion
from mt_fairseq.criterions.vqa import VqaCriterion
from mt_fairseq.data.batches import masked_words
from mt_fairseq.models.albef import steps
from tests.albef import two_processes as albef
from tests.models.stand_in import VOCABULARY, StandInTask, batch, build_small

HEADS = {"mlm": VOCABULARY, "itm": 2, "itc": 6, "vqa": 7, "snli_ve": 3}
TASK: Any = SimpleNamespace(name="snli_ve")
TWO_TOWER: dict[str, Any] = {
    "mlm": lambda: MlmItmCriterion(TASK, itc=False, global_negatives=False),
    "mlm with hard negatives": lambda: MlmItmCriterion(TASK, itc=True, global_negatives=True),
    "retrieval": lambda: ItcItmCriterion(TASK, global_negatives=False, false_texts=0),
    "ranking": lambda: ItmRankingCriterion(TASK, false_texts=1),
    "classes": lambda: ClassificationCriterion(TASK),
    "vqa": lambda: VqaCriterion(TASK),
}


def sample_of(kind: str) -> dict[str, Any]:
    """A batch of four as the collater of that criterion's dataset makes it."""
    tokens, images = batch()
    count, draws = len(tokens), torch.rand(len(tokens), 2, dtype=torch.float64)
    inputs: dict[str, Any] = {"src_tokens": tokens, "images": images}
    sample = {"net_input": inputs, "ntokens": 1, "nsentences": count}
    if kind.startswith("mlm"):
        inputs["masked_tokens"] = tokens
        inputs["masked_words"] = masked_words(
            tokens, torch.arange(tokens.shape[1]) == 1 + 0 * tokens
        )
    if kind == "mlm":
        inputs["image_index"] = torch.tensor([1, 0, 2, 3])
    if kind in ("mlm with hard negatives", "retrieval"):
        inputs["draws"] = draws
    if kind == "retrieval":
        inputs["image_groups"] = torch.tensor([0, 1, 1, 2])
    if kind == "ranking":
        inputs["images"] = images[:2]
    if kind == "classes":
        sample |= {"labels": torch.tensor([2, -1, 0, 1]), "labelled": 3}
    if kind == "vqa":
        sample["answer_scores"] = torch.rand(count, HEADS["vqa"], dtype=torch.float64)
    return sample


def step_without_values(criterion: Any, model: torch.nn.Module, sample: dict[str, Any]) -> None:
    on_device = apply_to_sample(lambda tensor: tensor.to("meta"), sample)
    loss, _, log = criterion(model.to("meta"), on_device)
    loss.backward()
    assert loss.is_meta and log["loss"].is_meta


@pytest.mark.parametrize("kind", TWO_TOWER)
def test_two_tower(kind: str) -> None:
    model = build_small(StandInTask(heads=HEADS)).train()
    step_without_values(TWO_TOWER[kind](), model, sample_of(kind))


@pytest.mark.parametrize("kind", albef.HEADS)
def test_albef(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # autocast knows no meta device; the model is in float32 here, where it does nothing
    monkeypatch.setattr(steps, "teaching", lambda model: torch.no_grad())
    step_without_values(albef.criterion(kind), albef.fresh(kind), albef.share(kind, 0, 0))
