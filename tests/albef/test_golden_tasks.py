"""Fine-tuning losses, rankings and maps of the official code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mt_fairseq.criterions.contrastive import itm_loss
from mt_fairseq.criterions.distillation import (
    answer_losses,
    distilled_cross_entropy,
    distilled_itc_loss,
    soft_targets,
)
from mt_fairseq.evaluation.boxes import best_box, box_scores, overlap
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.albef.gradcam import image_map, text_map, word_maps
from mt_fairseq.modules.albef.ranking import rank_answers
from mt_fairseq.modules.contrastive import negative_weights, similarities
from tests.albef.golden import (
    BOUND,
    LOGITS_BOUND,
    LOSS_BOUND,
    Golden,
    difference,
    draws_for,
    relative,
)
from tests.albef.test_golden_pretrain import check_queue, part

MATCH = 1
Open = Callable[[str, str], Golden]


# --- retrieval ---


@pytest.mark.parametrize("case", ["distill", "plain"])
def test_retrieval(golden: Open, case: str) -> None:
    reference = golden("retrieval", "retrieval")
    alpha = 0.4 if case == "distill" else 0.0
    model = reference.model(distill_alpha=alpha)
    outputs = reference.tensors(f"outputs.{case}")
    for number in (1, 2):
        expected = part(outputs, f"step{number}.")
        loss = retrieval_step(reference, model, number, alpha, expected)
        if number == 1:
            loss.backward()
            gradients = reference.json(f"grads.{case}.json")
            assert reference.check_gradients(model, gradients) > 100


def retrieval_step(
    reference: Golden, model: AlbefModel, number: int, alpha: float, expected: dict[str, Tensor]
) -> Tensor:
    inputs = part(reference.inputs, f"step{number}.")
    count = len(inputs["idx"])
    model.set_num_updates(number)
    draws = [
        draws_for(expected["weights_t2i"], expected["negative_image_of_text"]),
        draws_for(expected["weights_i2t"], expected["negative_text_of_image"]),
    ]
    output = model(
        inputs["input_ids"],
        inputs["image"],
        step="alignment",
        image_groups=inputs["idx"],
        draws=torch.stack(draws, dim=1),
    )
    itc = output.itc
    assert torch.equal(itc.positives.float(), expected["pos_idx"])
    assert difference(itc.image_to_text, expected["sim_i2t"]) < BOUND
    assert difference(itc.text_to_image, expected["sim_t2i"]) < BOUND
    targets = soft_targets(itc.positives, itc.teacher_image_to_text, alpha)
    name = "sim_i2t_targets" if alpha else "sim_targets"
    assert difference(targets, expected[name]) < BOUND
    own = itc.positives[:, :count]
    weights = negative_weights(itc.image_to_text[:, :count], own).float()
    theirs = expected["weights_i2t"]
    assert difference(weights, theirs / theirs.sum(dim=1, keepdim=True)) < BOUND
    assert difference(output.itm.logits, expected["itm_logits"]) < BOUND
    losses = distilled_itc_loss(itc, alpha) / count, itm_loss(output.itm) / count
    assert relative(losses[0], expected["loss_ita"]) < LOSS_BOUND
    assert relative(losses[1], expected["loss_itm"]) < LOSS_BOUND
    check_queue(model, expected)
    assert torch.equal(model.queue.ids, expected["after.idx_queue"][0])
    return losses[0] + losses[1]


@torch.no_grad()
def test_two_stage_evaluation(golden: Open) -> None:
    """Similarities of all pairs, matching logits of the k best."""
    reference = golden("retrieval", "retrieval")
    model = reference.model().eval()
    inputs, expected = part(reference.inputs, "eval."), reference.tensors("outputs.evaluation")
    texts, images = model.encode_text(inputs["input_ids"]), model.encode_images(inputs["image"])
    assert difference(texts.last, expected["text_feats"]) < BOUND
    assert difference(images.last, expected["image_feats"]) < BOUND
    text_features, image_features = model.contrastive_features(texts, images)
    scores = similarities(image_features, text_features, torch.tensor(1.0))
    assert difference(scores, expected["sims_matrix"]) < BOUND
    k = reference.config["evaluation"]["k_test"]
    for matrix, order in (
        (expected["score_matrix_i2t"], scores.topk(k, dim=1).indices),
        (expected["score_matrix_t2i"], scores.T.topk(k, dim=1).indices),
    ):
        rows = torch.arange(len(matrix)).repeat_interleave(k)
        columns = order.flatten()
        image, text = (rows, columns) if matrix.shape == (4, 8) else (columns, rows)
        fused = model.fuse(texts.select(text), images.select(image))
        logits = model.heads["itm"](model.network.pool(fused))[:, MATCH]
        ours = torch.full_like(matrix, -100).index_put((rows, columns), logits)
        assert difference(ours, matrix) < BOUND


# --- classes ---


@pytest.mark.parametrize("case", ["distill", "plain"])
@pytest.mark.parametrize(("folder", "head"), [("ve", "snli_ve"), ("nlvr", "nlvr2")])
def test_classes(golden: Open, folder: str, head: str, case: str) -> None:
    reference = golden(folder, folder)
    alpha = reference.config["cases"][case].get("alpha", 0.0)
    model = reference.model(distill_alpha=alpha)
    inputs, expected = reference.inputs, reference.tensors("outputs")
    images = inputs["image"]
    if folder == "nlvr":
        images = torch.stack(images.chunk(2), dim=1)
    if not alpha:
        model.twin = None
    output = model(inputs["input_ids"], images, classification_head_name=head, return_all=True)
    assert difference(output.text, expected["fusion"]) < BOUND
    assert difference(output.logits, expected["logits"]) < BOUND
    first = reference.sizes["fusion_layer"]
    assert len(output.layers) == len([k for k in expected if k.startswith("deep.text")]) - first
    for number, layer in enumerate(output.layers):
        assert difference(layer.text, expected[f"deep.text.layer.{first + number}"]) < BOUND
    if alpha:
        assert difference(output.teacher_logits, expected["logits_m"]) < BOUND
        for name in ("cls_head_m.0.weight", "visual_encoder_m.pos_embed"):
            ((target, value),) = reference.official(name, expected[f"after.{name}"]).items()
            own = model.state_dict()[target]
            assert difference(own, value.reshape(own.shape)) < 1e-6
    loss = distilled_cross_entropy(
        output.logits, inputs["targets"], output.teacher_logits, output.alpha
    ).mean()
    assert relative(loss, expected[f"loss.{case}"]) < LOSS_BOUND
    loss.backward()
    assert reference.check_gradients(model, reference.json(f"grads.{case}.json")) > 100
    model.eval()
    again = model(inputs["input_ids"], images, classification_head_name=head)
    assert difference(again.logits, expected["logits_eval"]) < BOUND


def test_pairs(golden: Open) -> None:
    """The task before NLVR2: which of two images a text describes, or none."""
    reference = golden("pretrain_nlvr", "pretrain_nlvr")
    towers = golden("nlvr", "nlvr").tensors("weights")
    weights = {k: t for k, t in towers.items() if "_m." not in k and "cls_head" not in k}
    model = reference.model({**weights, **reference.tensors("weights_extra")})
    inputs, expected = reference.inputs, reference.tensors("outputs")
    own = torch.arange(len(expected["labels"]))
    chosen, none = expected["image_pairs"], expected["labels"] == 2
    other = torch.where(chosen[:, 0] == own, chosen[:, 1], chosen[:, 0])
    first = torch.where(none, chosen[:, 0], other)
    theirs = expected["weights"]
    rest = theirs.scatter(1, first[:, None], 0)
    kind, order = expected["uniform_draws"].T.clamp(0, 1)
    draws = torch.stack(
        [1 - kind, 1 - order, draws_for(theirs, first), draws_for(rest, chosen[:, 1])], dim=1
    )
    output = model(inputs["input_ids"], inputs["image"], step="pairs", draws=draws)
    assert torch.equal(output.labels, expected["labels"])
    assert output.weights.eq(1).all()
    assert difference(output.logits, expected["logits"]) < BOUND
    loss = itm_loss(output) / len(own)
    assert relative(loss, expected["loss"]) < LOSS_BOUND
    loss.backward()
    assert all(parameter.grad is None for parameter in model.heads["itc"].parameters())


# --- answers ---


@pytest.mark.parametrize("case", ["distill", "plain"])
def test_answers(golden: Open, case: str) -> None:
    reference = golden("vqa", "vqa")
    alpha = reference.config["cases"][case].get("alpha", 0.0)
    model = reference.model(distill_alpha=alpha)
    if not alpha:
        model.twin = None
    inputs, expected = reference.inputs, reference.tensors("outputs")
    counts = inputs["answers_per_question"]
    output = model(
        inputs["question_ids"],
        inputs["image"],
        step="answers",
        answer_tokens=inputs["answer_ids"],
        answer_rows=torch.arange(len(counts)).repeat_interleave(counts),
    )
    assert difference(output.logits, expected["decoder.logits"]) < LOGITS_BOUND
    if alpha:
        theirs = expected["decoder.logits_m_shifted"]
        assert difference(output.teacher_logits[:, :-1], theirs) < LOGITS_BOUND
    losses = answer_losses(
        output.logits, inputs["answer_ids"], 0, output.teacher_logits, output.alpha
    )
    assert difference(losses, expected[f"loss_per_answer.{case}"]) < LOGITS_BOUND
    loss = (inputs["answer_weights"] * losses).sum() / len(counts)
    assert relative(loss, expected[f"loss.{case}"]) < LOSS_BOUND
    loss.backward()
    assert reference.check_gradients(model, reference.json(f"grads.{case}.json")) > 100


@torch.no_grad()
def test_answer_ranking(golden: Open) -> None:
    """With the first token counted twice, theirs; without, the likelihood of whole answers."""
    reference = golden("vqa", "vqa")
    model = reference.model().eval()
    inputs, expected = reference.inputs, reference.tensors("outputs")
    output = model(inputs["question_ids"], inputs["image"])
    assert difference(output.text, expected["question_states"]) < BOUND
    mask = inputs["question_mask"].bool()
    arguments = model.heads["answers"], output.text, mask, inputs["candidate_ids"], 3
    ids, scores = rank_answers(*arguments, first_token_twice=True)
    assert torch.equal(ids, expected["rank.topk_ids"])
    assert difference(scores.exp(), expected["rank.topk_probs"]) < BOUND
    ids, scores = rank_answers(*arguments)
    likelihood = -expected["rank.answer_loss"]
    order = likelihood.argsort(dim=1, descending=True)
    assert torch.equal(ids, expected["rank.first_stage_ids"].gather(1, order))
    theirs = likelihood.log_softmax(dim=1).gather(1, order)
    assert difference(scores, theirs) < LOGITS_BOUND


# --- grounding ---


def test_gradcam(golden: Open) -> None:
    reference = golden("grounding", "retrieval")
    model = reference.model().eval()
    expected = reference.tensors("outputs")
    quarter = reference.inputs["image_quarter"]
    images = quarter.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    tokens = reference.inputs["input_ids"]
    first = reference.sizes["fusion_layer"]
    for block in reference.config["blocks"]["itm"]:
        words = word_maps(model.network, model.heads["itm"], tokens, images, block - first)
        check_map(words, expected[f"itm.block{block}.gradcam_per_token"])
        check_map(text_map(words), expected[f"itm.block{block}.gradcam"])
    for block in reference.config["blocks"]["itc"]:
        heat = image_map(model.network, model.heads["itc"], tokens, images, block)
        check_map(heat, expected[f"itc.block{block}.gradcam"])


def check_map(ours: Tensor, reference: Tensor) -> None:
    """Maps are small numbers: within a share of the largest."""
    assert difference(ours, reference) < LOGITS_BOUND * reference.max()


def test_boxes(golden: Open) -> None:
    reference = golden("grounding", "retrieval")
    expected = reference.json("box_scores.json")
    maps = reference.tensors("outputs")["boxes.maps"]
    size = expected["image_width"], expected["image_height"]
    boxes = expected["boxes_xywh"]
    for heat, sample in zip(maps, expected["references"], strict=True):
        scores = box_scores(heat, boxes, *size)
        assert scores == pytest.approx(sample["scores"], rel=1e-4)
        chosen = boxes[best_box(scores)]
        assert chosen == sample["predicted_xywh"]
        assert overlap(chosen, sample["truth_xywh"]) == pytest.approx(sample["iou"])
    for one, other, value in expected["iou_pairs"]:
        assert overlap(one, other) == pytest.approx(value)
