"""Plans of ALBEF's recipes, beside what real training steps run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mt_fairseq.analysis.flops import Inputs, build_random
from mt_fairseq.convert.task_parts import head_kind
from mt_fairseq.data.batches import masked_words
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.plan.__main__ import main
from mt_fairseq.plan.albef import ANSWER_TOKENS
from mt_fairseq.plan.memory import GB
from mt_fairseq.plan.planner import Plan, make_plan, read_data
from mt_fairseq.plan.recipe import read_recipe
from mt_fairseq.tasks.albef_vqa import ANSWERS

BATCH, SIDE, TOKENS = 4, 64, 26
TINY = [
    "model._name=albef_tiny", "dataset.batch_size=4", f"task.image_size={SIDE}",
    f"task.max_text_len={TOKENS}", "distributed_training.distributed_world_size=1",
]  # fmt: skip
PRETRAINING = {"mlm": 0, "itm": 2, "itc": 0}


def plan_of(name: str, *overrides: str) -> Plan:
    recipe = read_recipe(f"albef/{name}", [*TINY, *overrides])
    return make_plan(recipe, read_data(recipe, 1000), 1, 8 * GB)


def real_model(heads: dict[str, int], vocabulary: int) -> AlbefModel:
    """In float64, whose products the counter knows all of."""
    inputs = Inputs((SIDE, SIDE), TOKENS, vocabulary)
    model = build_random("albef_tiny", inputs, distill_alpha=0.0)
    assert isinstance(model, AlbefModel)
    for head, classes in heads.items():
        model.register_classification_head(head, classes or vocabulary, head_kind(head))
    model.cfg.distill_alpha, model.cfg.constant_alpha = 0.4, True
    return model


def operations(model: AlbefModel, run: Callable[[], torch.Tensor]) -> int:
    """Of a step with its backward pass."""
    model.train().double()
    with FlopCounterMode(display=False) as counter:
        run().double().sum().backward()
    return counter.get_total_flops()


def batch(pictures: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.zeros(BATCH, pictures, 3, SIDE, SIDE, dtype=torch.uint8)
    return torch.full((BATCH, TOKENS), 5), images


def test_pretraining() -> None:
    """Five passes of the fusion a sample, and those of the momentum model."""
    plan = plan_of("pretraining_4m")
    model = real_model(PRETRAINING, plan.data.vocabulary)
    model.add_twin()
    tokens, images = batch()
    positions = torch.zeros(BATCH, TOKENS, dtype=torch.bool)
    positions[:, 1 : 1 + plan.passes.heads["mlm"]] = True

    def run() -> torch.Tensor:
        output = model(
            tokens, images, step="alignment", draws=torch.rand(BATCH, 2),
            masked_tokens=tokens, masked_words=masked_words(tokens, positions),
        )  # fmt: skip
        assert output.mlm_teacher_logits is not None
        return output.mlm_logits.sum() + output.itm.logits.sum() + output.itc.text_to_image.sum()

    assert BATCH * plan.operations == pytest.approx(operations(model, run), rel=0.1)


@pytest.mark.parametrize(
    ("head", "classes", "pictures"), [("snli_ve", 3, 1), ("nlvr2", 2, 2)]
)  # fmt: skip
def test_classes(head: str, classes: int, pictures: int) -> None:
    plan = plan_of(head)
    model = real_model({head: classes}, plan.data.vocabulary)
    model.add_twin()
    tokens, images = batch(pictures)

    def run() -> torch.Tensor:
        return model(tokens, images, classification_head_name=head).logits

    assert BATCH * plan.operations == pytest.approx(operations(model, run), rel=0.1)


def test_answers() -> None:
    plan = plan_of("vqa")
    model = real_model({"answers": 0}, plan.data.vocabulary)
    model.add_twin()
    tokens, images = batch()
    given = torch.full((BATCH * ANSWERS, ANSWER_TOKENS), 5)
    rows = torch.arange(BATCH).repeat_interleave(ANSWERS)

    def run() -> torch.Tensor:
        return model(
            tokens, images, step="answers", answer_tokens=given, answer_rows=rows
        ).logits  # fmt: skip

    assert BATCH * plan.operations == pytest.approx(operations(model, run), rel=0.1)


def test_the_momentum_model_is_remembered_but_not_trained() -> None:
    """As many bytes as its weights and queues have."""
    plan = plan_of("pretraining_4m", "model.queue_size=512")
    model = real_model(PRETRAINING, plan.data.vocabulary)
    own = sum(p.numel() for p in model.parameters() if p.requires_grad)
    model.add_twin()
    assert model.twin is not None and model.queue is not None
    held = [*model.twin.parameters(), model.queue.texts, model.queue.images]
    assert plan.memory.momentum == pytest.approx(sum(t.nbytes for t in held), rel=0.01)
    assert plan.parameters == pytest.approx(own, rel=0.01)
    alone = plan_of("pretraining_4m", "task.objectives='mlm,itm'", "model.distill_alpha=0")
    assert alone.memory.momentum == 0 and alone.operations < 0.9 * plan.operations


@pytest.mark.parametrize("name", ["pretraining_14m", "retrieval_coco", "nlvr2_pairs", "grounding"])
def test_every_recipe_has_a_plan(name: str, capsys: pytest.CaptureFixture) -> None:
    assert main([f"albef/{name}", "--gpus", "8", "--memory", "80"]) == 0
    printed = capsys.readouterr().out
    assert "the recipe's" in printed and "checkpointing" not in printed
    assert ("momentum model" in printed) == (name != "nlvr2_pairs")
