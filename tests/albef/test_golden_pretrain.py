"""Two consecutive pre-training steps of the official code, with queues and momentum weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mt_fairseq.criterions.contrastive import itm_loss
from mt_fairseq.criterions.distillation import (
    distilled_cross_entropy,
    distilled_itc_loss,
    soft_targets,
)
from mt_fairseq.data.batches import masked_words
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.albef.outputs import AlignmentOutput
from mt_fairseq.modules.contrastive import negative_weights
from tests.albef.golden import (
    BOUND,
    LOGITS_BOUND,
    LOSS_BOUND,
    Golden,
    difference,
    draws_for,
    relative,
)

CASES = ["alpha0", "alpha04", "momentum09"]


def step(
    golden: Golden, model: AlbefModel, number: int, alpha: float, reference: dict[str, Tensor]
) -> AlignmentOutput:
    """Run step ``number`` on the recorded inputs, masks and negatives."""
    model.cfg.distill_alpha = alpha
    model.set_num_updates(number)
    prefix = f"step{number}."
    inputs = {k[len(prefix) :]: t for k, t in golden.inputs.items() if k.startswith(prefix)}
    draws = [
        draws_for(reference["weights_t2i"], reference["negative_image_of_text"]),
        draws_for(reference["weights_i2t"], reference["negative_text_of_image"]),
    ]
    return model(
        inputs["input_ids"],
        inputs["image"],
        step="alignment",
        draws=torch.stack(draws, dim=1),
        masked_tokens=reference["mlm.input_ids"],
        masked_words=masked_words(reference["mlm.labels"], reference["mlm.labels"] != -100),
    )


def losses(output: AlignmentOutput, reference: dict[str, Tensor]) -> dict[str, Tensor]:
    """The reference's means of our losses."""
    count = len(reference["image_feat"])
    words = reference["mlm.labels"]
    mlm = distilled_cross_entropy(
        output.mlm_logits, words[words != -100], output.mlm_teacher_logits, output.alpha
    )
    return {
        "loss_ita": distilled_itc_loss(output.itc, output.alpha) / count,
        "loss_itm": itm_loss(output.itm) / count,
        "loss_mlm": mlm.mean(),
    }


def check_step(output: AlignmentOutput, reference: dict[str, Tensor]) -> None:
    itc, alpha = output.itc, output.alpha
    count = len(reference["image_feat"])
    for ours, name in (
        (itc.image_to_text, "sim_i2t"),
        (itc.text_to_image, "sim_t2i"),
        (itc.teacher_image_to_text, "sim_i2t_m"),
        (itc.teacher_text_to_image, "sim_t2i_m"),
        (soft_targets(itc.positives, itc.teacher_image_to_text, alpha), "sim_i2t_targets"),
        (soft_targets(itc.positives, itc.teacher_text_to_image, alpha), "sim_t2i_targets"),
        (output.itm.logits, "itm_logits"),
    ):
        assert difference(ours, reference[name]) < BOUND, name
    own = itc.positives[:, :count]
    for ours, name in ((itc.image_to_text, "weights_i2t"), (itc.text_to_image, "weights_t2i")):
        theirs = reference[name] / reference[name].sum(dim=1, keepdim=True)
        assert difference(negative_weights(ours[:, :count], own).float(), theirs) < BOUND, name
    assert torch.equal(output.itm.labels, reference["itm_labels"])
    asked = reference["mlm.labels"] != -100
    assert difference(output.mlm_logits, reference["mlm.logits"][asked]) < LOGITS_BOUND
    if output.mlm_teacher_logits is not None:
        theirs = reference["mlm.logits_m"][asked]
        assert difference(output.mlm_teacher_logits, theirs) < LOGITS_BOUND
    for name, value in losses(output, reference).items():
        assert relative(value, reference[name]) < LOSS_BOUND, name


def check_queue(model: AlbefModel, reference: dict[str, Tensor]) -> None:
    assert difference(model.queue.images, reference["after.image_queue"].T) < BOUND
    assert difference(model.queue.texts, reference["after.text_queue"].T) < BOUND
    assert int(model.queue.pointer) == int(reference["after.queue_ptr"])


def part(outputs: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: t for k, t in outputs.items() if k.startswith(prefix)}


@pytest.mark.parametrize("case", CASES)
def test_two_steps(golden: Callable[..., Golden], case: str) -> None:
    reference = golden("pretrain", "pretrain")
    outputs = reference.tensors(f"outputs.{case}")
    settings = reference.config["cases"][case]
    model = reference.model(momentum=settings["momentum"])
    if "temp" in settings:
        model.heads["itc"].temperature.data.fill_(settings["temp"])
    first = part(outputs, "step1.")
    output = step(reference, model, 1, settings["alpha"][0], first)
    check_step(output, first)
    check_queue(model, first)
    assert model.heads["itc"].temperature.item() == pytest.approx(float(first["temp_used"]))
    if case == "momentum09":
        check_twin(reference, model, reference.tensors("momentum_after_step1.momentum09"))
    if case == "alpha04":
        sum(losses(output, first).values()).backward()
        assert reference.check_gradients(model, reference.json("grads.json")) > 100
        model = reference.model("state_after_step1.alpha04", momentum=settings["momentum"])
    second = part(outputs, "step2.")
    check_step(step(reference, model, 2, settings["alpha"][1], second), second)
    check_queue(model, second)
    if case == "alpha04":
        check_norms(reference, model, reference.json("momentum_after_step2.alpha04.json"))


def check_twin(reference: Golden, model: AlbefModel, expected: dict[str, Tensor]) -> None:
    ours = model.state_dict()
    compared = 0
    for name, tensor in expected.items():
        for target, value in reference.official(name, tensor).items():
            assert difference(ours[target], value.reshape(ours[target].shape)) < 1e-6, name
            compared += 1
    assert compared > 100


def check_norms(reference: Golden, model: AlbefModel, expected: dict[str, list[float]]) -> None:
    ours = model.state_dict()
    weights = reference.tensors("weights")
    for name, (norm, first, last) in expected.items():
        targets = reference.official(name, weights[name])
        if not targets:
            continue
        flat = torch.cat([ours[target].flatten() for target in targets])
        assert float(flat.norm()) == pytest.approx(norm, rel=1e-5), name
        assert (float(flat[0]), float(flat[-1])) == pytest.approx((first, last), abs=1e-5), name


def test_layers(golden: Callable[..., Golden]) -> None:
    """Each layer of both encoders and of the fusion, online and momentum."""
    reference = golden("pretrain", "pretrain")
    outputs = part(reference.tensors("outputs.alpha04"), "step1.")
    model = reference.model()
    seen: dict[str, list[Tensor]] = {}

    def record(name: str, layer: nn.Module) -> None:
        layer.register_forward_hook(lambda _, __, out: seen.setdefault(name, []).append(out))

    for side, network in (("", model.network), ("_m", model.twin.network)):
        for number, layer in enumerate(network.vision_encoder.blocks):
            record(f"deep.vision{side}.layer.{number}", layer)
        texts = [*network.text_encoder.layers, *network.fusion.layers]
        for number, layer in enumerate(texts):
            record(f"deep.text{side}.layer.{number}", layer)
    step(reference, model, 1, 0.4, outputs)
    # one pass for true pairs and both kinds of negatives, two in the reference
    passes = {name: [*outs, *(o[3:] for o in outs), *(o[:3] for o in outs)]
              for name, outs in seen.items()}  # fmt: skip
    compared = 0
    for name, theirs in outputs.items():
        layer = name.removesuffix(".text").removesuffix(".mlm").removesuffix(".pos")
        layer = layer.removesuffix(".neg")
        if layer in passes:
            if name.endswith(("4.pos", "4.neg")):
                theirs = theirs[:, :1]  # of the last layer, matching needs position 0 alone
            same_size = [ours for ours in passes[layer] if ours.shape == theirs.shape]
            assert min(difference(ours, theirs) for ours in same_size) < BOUND, name
            compared += 1
    assert compared == 28
