"""From a recipe and hardware to a plan."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from fairseq.models import MODEL_REGISTRY

from mt_fairseq.analysis.flops import Inputs, build_on_meta, count_parameters
from mt_fairseq.errors import UserError
from mt_fairseq.models.albef import AlbefModel
from mt_fairseq.models.two_tower import TwoTowerModel
from mt_fairseq.plan.batches import Batches, Schedule, choose_batches, make_schedule
from mt_fairseq.plan.counting import Cost, count_head, count_parts
from mt_fairseq.plan.memory import GB, Memory, estimate
from mt_fairseq.plan.passes import CLASSES, Passes, passes_of
from mt_fairseq.plan.recipe import CHECKPOINTING, Recipe
from mt_fairseq.tasks.vision_language import (
    DEFAULT_IMAGE_SIZE,
    DEFAULT_MAX_TEXT_LEN,
    parse_image_size,
)

BACKWARD = 3  # forward and backward cost three times the forward pass
LOSS_BYTES = 8  # a logit: log probabilities and their gradient in float32


@dataclass(frozen=True)
class Data:
    """What a plan takes from the data.

    Attributes:
        samples: of the training splits, None if not known.
        vocabulary: entries of the text dictionary.
        classes: of the task's labels, None where it has none or they are not known.
        source: where all this comes from, in words.
    """

    samples: int | None
    vocabulary: int
    classes: int | None
    source: str


@dataclass(frozen=True)
class Plan:
    """What ``report`` prints.

    Attributes:
        recipe, data, passes: what it is made of.
        image_size: (height, width) in pixels.
        tokens: of a text.
        parameters: of the model with its heads.
        batches, schedule, memory: the results.
        operations: floating-point ones a sample, forward, backward, and what runs again.
    """

    recipe: Recipe
    data: Data
    passes: Passes
    image_size: tuple[int, int]
    tokens: int
    parameters: int
    batches: Batches
    schedule: Schedule
    memory: Memory
    operations: float

    def hours(self, tflops: float) -> float:
        """Time of all updates if every GPU sustains ``tflops``."""
        total = self.schedule.total * self.batches.effective * self.operations
        return total / (self.batches.gpus * tflops * 1e12) / 3600


def read_data(recipe: Recipe, samples: int | None) -> Data:
    """From the recipe's data-bin if it names one, else RoBERTa's vocabulary and the papers' labels.

    Raises UserError for a data-bin that is none, or splits that it lacks.
    """
    if recipe.data is None:
        classes = CLASSES.get(recipe.task)
        return Data(samples, Inputs().vocabulary, classes, "--samples" if samples else "unknown")
    from mt_fairseq.data.data_bin import DataBin

    data_bin = DataBin(recipe.data)
    names = str(recipe.option("task", "train_splits", "train")).split(",")
    sizes = data_bin.metadata["splits"]
    for name in names:
        if name not in sizes:
            data_bin.split(name)  # says which splits there are
    classes = None if data_bin.labels is None else len(data_bin.labels)
    counted = sum(int(sizes[name]["samples"]) for name in names)
    source = "--samples" if samples else f"{recipe.data}: {', '.join(names)}"
    return Data(samples or counted, len(data_bin.dictionary), classes, source)


def make_plan(recipe: Recipe, data: Data, gpus: int, memory: float) -> Plan:
    """Plan a recipe for ``gpus`` devices of ``memory`` bytes each.

    Raises UserError for ALBEF, or if the options of the model don't fit together, or one sample
    doesn't fit.
    """
    if issubclass(MODEL_REGISTRY[recipe.architecture], AlbefModel):
        raise UserError(
            f"{recipe.path.name}: {recipe.architecture}: plans exist for ManagerTower, BridgeTower "
            "and METER; ALBEF's momentum model and queues are not counted"
        )
    wanted = recipe.effective_batch(gpus)  # what is wrong with the recipe, before the counting
    size = recipe.option("task", "image_size", None)
    image_size = parse_image_size(size) if size else DEFAULT_IMAGE_SIZE
    tokens = int(recipe.option("task", "max_text_len", DEFAULT_MAX_TEXT_LEN))
    tokens = int(recipe.model_options.get("text_length", 0)) or tokens
    passes = passes_of(recipe, tokens)
    inputs = Inputs(image_size, tokens, data.vocabulary)
    model, costs = _count(recipe, data, passes, inputs)
    parameters = count_parameters(model)
    most = costs[1]
    pictures = model.image_positions * model.network.width if passes.gathers else 0
    activations = most.kept + most.momentary
    needs = estimate(parameters, activations, recipe.precision, gpus, pictures)
    largest = needs.largest_batch(memory)
    if not largest:
        saving = "" if recipe.checkpointing else f"+{CHECKPOINTING}=true, "
        raise UserError(
            f"one sample of {recipe.path.name} needs {needs.of_batch(1) / GB:.1f} GB on a GPU, and "
            f"--memory is {memory / GB:g}: take larger GPUs, bf16, {saving}or a lower "
            "task.image_size"
        )
    if passes.contrasts:  # as many samples contrasted with each other as in the recipe, if they fit
        largest = min(largest, max(1, recipe.contrasted(gpus) // gpus))
    batches = choose_batches(wanted, gpus, largest)
    schedule = plan_schedule(recipe, data, batches)
    operations = costs[0].operations * BACKWARD + costs[0].repeated
    return Plan(
        recipe, data, passes, image_size, tokens, parameters, batches, schedule, needs, operations
    )


def make_other_plan(plan: Plan, memory: float) -> Plan | None:
    """The same with checkpointed activations where ``plan`` has none, and the reverse.

    None if one sample doesn't fit.
    """
    recipe = plan.recipe.with_checkpointing(not plan.recipe.checkpointing)
    try:
        return make_plan(recipe, plan.data, plan.batches.gpus, memory)
    except UserError:
        return None


def plan_schedule(recipe: Recipe, data: Data, batches: Batches) -> Schedule:
    """Updates of a recipe; UserError where it says nowhere when to stop."""
    cfg = recipe.cfg
    max_epoch, max_update = int(cfg.optimization.max_epoch), int(cfg.optimization.max_update)
    warmup_updates = int(recipe.option("lr_scheduler", "warmup_updates", 0))
    warmup_ratio = float(recipe.option("lr_scheduler", "warmup_ratio", 0.0))
    schedule = make_schedule(
        data.samples, batches, max_epoch, max_update, warmup_updates, warmup_ratio
    )
    if schedule.total < 1:
        raise UserError(
            f"{recipe.path.name}: when to stop? Give optimization.max_update=N, or "
            "optimization.max_epoch=N with task.data=DATA-BIN or --samples N"
        )
    return schedule


def _count(
    recipe: Recipe, data: Data, passes: Passes, inputs: Inputs
) -> tuple[TwoTowerModel, tuple[Cost, Cost]]:
    """The model, and the cost of an average sample and of one in the worst batch."""
    model = build_on_meta(recipe.architecture, inputs, **recipe.model_options)
    outputs = {"mlm": data.vocabulary, "itm": 2, "itc": 0, recipe.task: data.classes or 2}
    for name in passes.heads:
        model.register_classification_head(name, outputs[name])
    model = model.to(device="meta", dtype=getattr(torch, recipe.precision)).train()
    parts = count_parts(model, inputs.tokens)
    heads = [count_head(model, name, rows, LOSS_BYTES) for name, rows in passes.heads.items()]
    rest = sum(heads, parts.text * passes.texts + parts.pair * passes.pairs)
    return model, (rest + parts.image * passes.images, rest + parts.image * passes.most_images)
