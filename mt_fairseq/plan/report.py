"""A plan in words."""

from __future__ import annotations

from mt_fairseq.plan.albef import ANSWER_TOKENS
from mt_fairseq.plan.memory import FRAGMENTS, GB, MOMENTARY, OVERHEAD, PARAMETER_BYTES
from mt_fairseq.plan.passes import is_albef
from mt_fairseq.plan.planner import Plan
from mt_fairseq.plan.recipe import CHECKPOINTING, WORLD_SIZE
from mt_fairseq.tasks.albef_vqa import ANSWERS

WIDTH = 18


def report(plan: Plan, other: Plan | None, available: float, tflops: float) -> str:
    """What the command prints.

    Args:
        plan: of the recipe.
        other: with checkpointed activations where the recipe has none, and the reverse; None if
            that does not fit.
        available: bytes a GPU.
        tflops: sustained on each.
    """
    recipe, batches = plan.recipe, plan.batches
    height, width = plan.image_size
    lines = [
        f"{recipe.path.parts[-3]}/{recipe.path.stem}: task {recipe.task}, {recipe.architecture}, "
        f"{plan.parameters / 1e6:.1f}M parameters, {height}x{width} pixels, {plan.tokens} tokens, "
        f"{recipe.precision}",
        f"on {batches.gpus} GPU{'s' * (batches.gpus > 1)} of {available / GB:g} GB:",
        _line("micro-batch", f"{batches.micro} samples a GPU"),
        _line("accumulation", f"update_freq {batches.steps}"),
        _line("effective batch", _effective(plan)),
    ]
    if plan.passes.contrasts:
        lines.append(_line("contrasted", _contrasted(plan)))
    lines += [
        _line("updates", _updates(plan)),
        _line("warm-up", f"{plan.schedule.warmup:,} updates"),
        _line("memory", _memory(plan)),
        _line("time", f"{_time(plan.hours(tflops))}; {plan.operations / 1e12:.3g} TFLOP a sample"),
    ]
    if not is_albef(recipe):  # which has no such option
        lines.append(_line("checkpointing", _checkpointing(plan, other, tflops)))
    lines += [
        "",
        f"add: {' '.join(overrides(plan))}",
        "",
        assumptions(plan, tflops),
    ]
    return "\n".join(lines)


def _line(name: str, text: str) -> str:
    return f"  {name:<{WIDTH}}{text}"


def _effective(plan: Plan) -> str:
    batches = plan.batches
    text = f"{batches.effective:,} = {batches.gpus} x {batches.micro} x {batches.steps}"
    if batches.exact:
        return f"{text}, the recipe's"
    return f"{text}: the recipe's {batches.wanted:,} cannot be met exactly, this is the nearest"


def _contrasted(plan: Plan) -> str:
    ours, theirs = plan.batches.contrasted, plan.recipe.contrasted(plan.batches.gpus)
    text = f"{ours:,} samples with each other (accumulation adds none)"
    return text if ours == theirs else f"{text}, in the recipe {theirs:,}"


def _updates(plan: Plan) -> str:
    schedule = plan.schedule
    if schedule.per_epoch is None or schedule.epochs is None:
        return f"{schedule.total:,} in all (an epoch's: name task.data=DATA-BIN or --samples N)"
    return (
        f"{schedule.per_epoch:,} an epoch, {schedule.total:,} in all = {schedule.epochs:.4g} "
        f"epochs of {plan.data.samples:,} samples ({plan.data.source})"
    )


def _memory(plan: Plan) -> str:
    needs, micro = plan.memory, plan.batches.micro
    return (
        f"{needs.of_batch(micro) / GB:.1f} GB: {needs.fixed / GB:.1f} whatever the batch, and "
        f"{micro} x {(needs.sample + needs.gathered) / GB:.3g} for samples"
    )


def _checkpointing(plan: Plan, other: Plan | None, tflops: float) -> str:
    """Whether layers run again in the backward pass, and what the other choice takes."""
    on = plan.recipe.checkpointing
    text = "on; without it" if on else f"off; with +{CHECKPOINTING}=true"
    if other is None:
        return f"{text} not one sample fits"
    batches = other.batches
    return (
        f"{text} micro-batch {batches.micro}, update_freq {batches.steps}, "
        f"{other.memory.of_batch(batches.micro) / GB:.1f} GB, {_time(other.hours(tflops))}"
    )


def _time(hours: float) -> str:
    return f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def overrides(plan: Plan) -> list[str]:
    """What to add to fairseq-hydra-train's command line so that it runs as planned."""
    batches = plan.batches
    said = [
        f"{WORLD_SIZE}={batches.gpus}",
        f"dataset.batch_size={batches.micro}",
        f"optimization.update_freq=[{batches.steps}]",
    ]
    if plan.schedule.total != int(plan.recipe.cfg.optimization.max_update):
        said.append(f"optimization.max_update={plan.schedule.total}")
    return said


def _activations(plan: Plan) -> str:
    if plan.recipe.checkpointing:
        return "inputs of all layers, and the largest layer at its second run"
    return "what autograd keeps"


def assumptions(plan: Plan, tflops: float) -> str:
    """What the estimates stand on."""
    size = PARAMETER_BYTES[plan.recipe.precision]
    half = "" if plan.recipe.precision == "float32" else ", and half-precision copies"
    buffer = "; a buffer of gradients between GPUs" if plan.memory.buffer else ""
    if plan.passes.momentum:
        buffer += "\n- the momentum model in float32, and its queues; its passes keep nothing"
    decodes = "answers" in plan.passes.heads
    answers = f", {ANSWERS} answers a question of {ANSWER_TOKENS} tokens" if decodes else ""
    return f"""\
Batches and updates are exact; memory and time are estimates:
- all parameters trained, {size} bytes each: weight, gradient, AdamW's two moments{half}{buffer}
- activations: {_activations(plan)}, counted tensor by tensor
  with fused attention, times {MOMENTARY:g} for what lives for a moment
- all texts {plan.tokens} tokens long{answers}; shorter ones take less of both
- {OVERHEAD / GB:g} GB for the device's context; {FRAGMENTS:.0%} of the device left free
- {tflops:g} TFLOP/s sustained on each GPU (--tflops), and a data loader that keeps up"""
