"""What lies between inputs and losses of the official code, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mt_fairseq.criterions.distillation import (
    answer_losses,
    distilled_itc_loss,
    soft_cross_entropy,
)
from mt_fairseq.evaluation.boxes import box_scores
from mt_fairseq.modules.albef.fusion import causal_mask
from mt_fairseq.modules.albef.outputs import DistilledContrast
from mt_fairseq.modules.albef.ranking import answer_likelihood
from mt_fairseq.modules.contrastive import negative_weights, similarities
from tests.albef.golden import (
    BOUND,
    LOGITS_BOUND,
    LOSS_BOUND,
    Golden,
    difference,
    relative,
)
from tests.albef.test_golden_pretrain import CASES, part, step
from tests.albef.test_golden_tasks import retrieval_step

Open = Callable[[str, str], Golden]
HIDDEN = -10000.0  # added to scores where the official decoder must not look


def check(ours: dict[str, Tensor], reference: dict[str, Tensor], bound: float = BOUND) -> None:
    for name, tensor in ours.items():
        assert difference(tensor, reference[name]) < bound, name


def encoded(side: Any, network: Any, ids: Tensor, images: Tensor, suffix: str) -> dict[str, Tensor]:
    """States and features of a batch, of the model or of its momentum twin."""
    text, image = network.encode_text(ids), network.encode_images(images)
    texts, features = side.heads["itc"](text.last, image.last)
    return {
        f"text_embeds{suffix}": text.last,
        f"image_embeds{suffix}": image.last,
        f"text_feat{suffix}": texts,
        f"image_feat{suffix}": features,
    }


def fused(model: Any, ids: Tensor, images: Tensor, reference: dict[str, Tensor]) -> dict:
    """True pairs; then each text with its drawn image and each image with its drawn text."""
    text, image = model.encode_text(ids), model.encode_images(images)
    own = torch.arange(len(ids))
    texts = torch.cat([own, reference["negative_text_of_image"]])
    drawn = torch.cat([reference["negative_image_of_text"], own])
    return {
        "fusion_pos": model.fuse(text, image).text,
        "fusion_neg": model.fuse(text.select(texts), image.select(drawn)).text,
    }


def keys(model: Any, features: dict[str, Tensor], before: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys of a step: the momentum model's features of the batch, then the queue as it was."""
    return {
        f"{kind}_feat_all": torch.cat([features[f"{kind}_feat_m"], before[f"{kind}s"]]).T
        for kind in ("image", "text")
    }


def directions(contrast: DistilledContrast, alpha: float) -> dict[str, float]:
    """Each direction's loss alone: the other one's place is taken by the same logits."""
    count = len(contrast.positives)
    both = {}
    for name, own, teacher in (
        ("loss_t2i", contrast.text_to_image, contrast.teacher_text_to_image),
        ("loss_i2t", contrast.image_to_text, contrast.teacher_image_to_text),
    ):
        twice = DistilledContrast(own, own, contrast.positives, teacher, teacher)
        both[name] = distilled_itc_loss(twice, alpha) / count
    return both


@pytest.mark.parametrize("case", CASES)
def test_pretraining(golden: Open, case: str) -> None:
    reference = golden("pretrain", "pretrain")
    outputs, settings = reference.tensors(f"outputs.{case}"), reference.config["cases"][case]
    model = reference.model(momentum=settings["momentum"])
    if "temp" in settings:
        model.heads["itc"].temperature.data.fill_(settings["temp"])
    for number, alpha in enumerate(settings["alpha"], start=1):
        expected = part(outputs, f"step{number}.")
        inputs = part(reference.inputs, f"step{number}.")
        before = {name: value.clone() for name, value in model.queue.state_dict().items()}
        output = step(reference, model, number, alpha, expected)
        ids, images = inputs["input_ids"], inputs["image"]
        with torch.no_grad():
            features = encoded(model, model.network, ids, images, "")
            features |= encoded(model.twin, model.twin.network, ids, images, "_m")
            check(features | keys(model, features, before), expected)
            check(fused(model, ids, images, expected), expected)
            for network, suffix in ((model.network, ""), (model.twin.network, "_m")):
                masked = network.encode_text(expected["mlm.input_ids"])
                hidden = network.fuse(masked, network.encode_images(images)).text
                check({f"mlm.hidden{suffix}": hidden}, expected)
        for name, value in directions(output.itc, alpha).items():
            assert relative(value, expected[name]) < LOSS_BOUND, name
        words = expected["mlm.labels"]
        hard = torch.nn.functional.cross_entropy(output.mlm_logits, words[words != -100])
        assert relative(hard, expected["mlm.loss_hard"]) < LOSS_BOUND
        if output.mlm_teacher_logits is not None:
            soft = soft_cross_entropy(output.mlm_logits, output.mlm_teacher_logits).mean()
            assert relative(soft, expected["mlm.loss_soft"]) < LOSS_BOUND
        assert model.heads["itc"].temperature.item() == pytest.approx(float(expected["temp_used"]))
        if case == "alpha04":
            model = reference.model("state_after_step1.alpha04", momentum=settings["momentum"])


@pytest.mark.parametrize("case", ["distill", "plain"])
def test_retrieval(golden: Open, case: str) -> None:
    reference = golden("retrieval", "retrieval")
    alpha = 0.4 if case == "distill" else 0.0
    model = reference.model(distill_alpha=alpha)
    for number in (1, 2):
        expected = part(reference.tensors(f"outputs.{case}"), f"step{number}.")
        inputs = part(reference.inputs, f"step{number}.")
        before = {name: value.clone() for name, value in model.queue.state_dict().items()}
        retrieval_step(reference, model, number, alpha, expected)
        ids, images = inputs["input_ids"], inputs["image"]
        with torch.no_grad():
            features = encoded(model, model.network, ids, images, "")
            features |= encoded(model.twin, model.twin.network, ids, images, "_m")
            features |= keys(model, features, before)
            check({k: v for k, v in features.items() if k != "text_embeds_m"}, expected)
            check(fused(model, ids, images, expected), expected)
        assert torch.equal(torch.cat([inputs["idx"], before["ids"]])[None], expected["idx_all"])


@pytest.mark.parametrize(("folder", "head"), [("ve", "snli_ve"), ("nlvr", "nlvr2")])
@torch.no_grad()
def test_classes(golden: Open, folder: str, head: str) -> None:
    reference = golden(folder, folder)
    model = reference.model(distill_alpha=0.4)
    inputs, expected = reference.inputs, reference.tensors("outputs")
    images = inputs["image"]
    sets = torch.stack(images.chunk(2), dim=1) if folder == "nlvr" else images
    model(inputs["input_ids"], sets, classification_head_name=head)  # the twin moves
    for network, suffix in ((model.network, ""), (model.twin.network, "_m")):
        check({f"image_embeds{suffix}": network.encode_images(images).last}, expected)
        states = model.fuse_images(network, inputs["input_ids"], sets).text
        check({f"fusion{suffix}": states}, expected)


def test_pairs(golden: Open) -> None:
    """Similarities, their weights, the fused pairs and every gradient."""
    reference = golden("pretrain_nlvr", "pretrain_nlvr")
    towers = golden("nlvr", "nlvr").tensors("weights")
    weights = {k: t for k, t in towers.items() if "_m." not in k and "cls_head" not in k}
    weights |= reference.tensors("weights_extra")
    model = reference.model(weights)
    ids, images = reference.inputs["input_ids"], reference.inputs["image"]
    expected = reference.tensors("outputs")
    text, image = model.encode_text(ids), model.encode_images(images)
    with torch.no_grad():
        _, features = model.contrastive_features(text, image)
        logits = similarities(features, features, torch.tensor(0.07))
        own = torch.eye(len(ids), dtype=torch.bool)
        theirs = expected["weights"] / expected["weights"].sum(dim=1, keepdim=True)
        assert difference(negative_weights(logits, own).float(), theirs) < BOUND
        check({"image_embeds": image.last, "image_feat": features, "sim": logits}, expected)
    pairs = [image.select(rows) for rows in expected["image_pairs"].T]
    states = model.network.fuse_sets(text, pairs).text
    check({"fusion": states}, expected)
    logits = model.heads["pairs"](states[:, 0])
    torch.nn.functional.cross_entropy(logits, expected["labels"]).backward()
    names = reference.json("grads.json")
    compared = compare_gradients(reference, model, weights, names)
    assert compared > 100


def compare_gradients(
    reference: Golden, model: Any, weights: dict[str, Tensor], expected: dict[str, Any]
) -> int:
    """As ``Golden.check_gradients``, for weights from two folders."""
    reference.tensors = lambda name: weights  # type: ignore[method-assign]
    return reference.check_gradients(model, expected)


def test_grounding(golden: Open) -> None:
    """Match logits and similarities of the maps' passes, and a map enlarged to its picture."""
    reference = golden("grounding", "retrieval")
    expected, model = reference.tensors("outputs"), reference.model().eval()
    quarter, ids = reference.inputs["image_quarter"], reference.inputs["input_ids"]
    images = quarter.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    with torch.no_grad():
        output = model(ids, images, classification_head_name="itm")
        check({"itm.block2.itm_logits": output.logits}, expected)
        texts, features = model.contrastive_features(
            model.encode_text(ids), model.encode_images(images)
        )
    similarity = (texts * features).sum(dim=1) / model.heads["itc"].temperature.detach()
    check({"itc.block0.sim_diag": similarity}, expected)
    # a box around each pixel gives the map that box scores are sums of
    heat, large = expected["boxes.maps"][0], expected["boxes.resized_map_of_ref0"]
    height, width = large.shape
    pixels = [[x, y, 1, 1] for y in range(height) for x in range(width)]
    scores = torch.tensor(box_scores(heat, pixels, width, height)).view_as(large)
    assert difference(scores, large) < BOUND


# --- answers ---


def test_answers(golden: Open) -> None:
    reference = golden("vqa", "vqa")
    model = reference.model(distill_alpha=0.4)
    inputs, expected = reference.inputs, reference.tensors("outputs")
    counts, ids = inputs["answers_per_question"], inputs["answer_ids"]
    rows = torch.arange(len(counts)).repeat_interleave(counts)
    output = model(
        inputs["question_ids"],
        inputs["image"],
        step="answers",
        answer_tokens=ids,
        answer_rows=rows,
    )
    for alpha, teacher, name in (
        (0.0, None, "loss_hard_per_answer"),
        (1.0, output.teacher_logits, "loss_soft_per_answer"),
    ):
        ours = answer_losses(output.logits, ids, 0, teacher, alpha)
        assert ours.tolist() == pytest.approx(expected[name].tolist(), rel=LOSS_BOUND), name
    with torch.no_grad():
        for network, suffix in ((model.network, ""), (model.twin.network, "_m")):
            text, image = (
                network.encode_text(inputs["question_ids"]),
                network.encode_images(inputs["image"]),
            )
            states = network.fuse(text, image).text
            check({f"image_embeds{suffix}": image.last, f"question_states{suffix}": states},
                  expected)  # fmt: skip
            if not suffix:
                check({"question_states_repeated": states[rows]}, expected)
                mask = text.mask[rows]
                assert torch.equal(mask.long(), expected["question_mask_repeated"])
    may_look = causal_mask(ids.ne(0))
    assert torch.equal(may_look, expected["decoder_self_attention_mask"] > HIDDEN / 2)
    targets = expected["answer_targets"]  # theirs stand where ours are predicted from
    assert torch.equal(targets[:, 1:].masked_fill(targets[:, 1:] == -100, 0), ids[:, 1:])


@torch.no_grad()
def test_ranking(golden: Open) -> None:
    """The first token's probabilities, who is kept, and each token of those that are."""
    reference = golden("vqa", "vqa")
    model = reference.model().eval()
    inputs, expected = reference.inputs, reference.tensors("outputs")
    candidates, decoder = inputs["candidate_ids"], model.heads["answers"]
    output = model(inputs["question_ids"], inputs["image"])
    mask, kept = inputs["question_mask"].bool(), expected["rank.first_stage_ids"]
    start = candidates[:1, :1].expand(len(mask), 1)
    first = decoder(start, output.text, mask)[:, 0]
    check({"rank.first_token_logits": first}, expected, LOGITS_BOUND)
    probabilities = first.softmax(dim=-1)[:, candidates[:, 1]]
    check({"rank.first_token_probs": probabilities}, expected)
    assert torch.equal(probabilities.topk(kept.shape[1], dim=1).indices, kept)
    rows = torch.arange(len(kept)).repeat_interleave(kept.shape[1])
    likelihood = answer_likelihood(decoder, output.text[rows], mask[rows],
                                   candidates[kept.flatten()])  # fmt: skip
    check({"rank.answer_loss": -likelihood.view_as(kept)}, expected, LOGITS_BOUND)
    twice = probabilities.gather(1, kept).log() + likelihood.view_as(kept)
    check({"rank.log_probs_sum": twice}, expected, LOGITS_BOUND)
