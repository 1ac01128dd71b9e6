"""From a recipe and hardware to a plan."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mt_fairseq.analysis.flops import Inputs, build_on_meta, count_parameters
from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.plan.albef import (
    VOCABULARY,
    count_albef_head,
    count_albef_parts,
    momentum_bytes,
)
from mt_fairseq.plan.batches import Batches, Schedule, choose_batches, make_schedule
from mt_fairseq.plan.counting import Cost, PartCosts, count_head, count_parts
from mt_fairseq.plan.memory import GB, Memory, estimate
from mt_fairseq.plan.passes import Passes, head_kind, is_albef, passes_of, task_class
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
        parameters: of the model with its heads, a momentum model apart.
        batches, schedule, memory: the results.
        operations: floating-point ones a sample: forward, backward, what runs again, and the
            momentum model's.
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
    """From the recipe's data-bin, or else the encoder's vocabulary and the papers' labels.

    Raises UserError for a data-bin that is none, or splits that it lacks.
    """
    if recipe.data is None:
        classes = task_class(recipe).usual_classes
        vocabulary = VOCABULARY if is_albef(recipe) else Inputs().vocabulary
        return Data(samples, vocabulary, classes, "--samples" if samples else "unknown")
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

    Raises UserError if the options of the model don't fit together, or one sample doesn't fit.
    """
    wanted = recipe.effective_batch(gpus)  # what is wrong with the recipe, before the counting
    size = recipe.option("task", "image_size", None)
    image_size = parse_image_size(size) if size else DEFAULT_IMAGE_SIZE
    tokens = int(recipe.option("task", "max_text_len", DEFAULT_MAX_TEXT_LEN))
    tokens = int(recipe.model_options.get("text_length", 0)) or tokens
    passes = passes_of(recipe, tokens)
    inputs = Inputs(image_size, tokens, data.vocabulary)
    model, step = _count(recipe, data, passes, inputs)
    parameters = count_parameters(model)
    most = step.most
    pictures = model.image_positions * model.network.width if passes.gathers else 0
    activations = most.kept + most.momentary
    taught = momentum_bytes(model) if passes.momentum else 0
    needs = estimate(parameters, activations, recipe.precision, gpus, pictures, taught)
    largest = needs.largest_batch(memory)
    if not largest:
        has_none = recipe.checkpointing or is_albef(recipe)
        saving = "" if has_none else f"+{CHECKPOINTING}=true, "
        raise UserError(
            f"one sample of {recipe.path.name} needs {needs.of_batch(1) / GB:.1f} GB on a GPU, and "
            f"--memory is {memory / GB:g}: take larger GPUs, bf16, {saving}or a lower "
            "task.image_size"
        )
    if passes.contrasts:  # as many samples contrasted with each other as in the recipe, if they fit
        largest = min(largest, max(1, recipe.contrasted(gpus) // gpus))
    batches = choose_batches(wanted, gpus, largest)
    schedule = plan_schedule(recipe, data, batches)
    return Plan(
        recipe, data, passes, image_size, tokens, parameters, batches, schedule, needs,
        step.operations,
    )  # fmt: skip


def make_other_plan(plan: Plan, memory: float) -> Plan | None:
    """The same with checkpointed activations where ``plan`` has none, and the reverse.

    None if one sample doesn't fit, or the model has no such option (ALBEF).
    """
    if is_albef(plan.recipe):
        return None
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


@dataclass(frozen=True)
class _Step:
    """What a training step costs.

    Attributes:
        mean, most: of an average sample and of one in the worst batch.
        taught: operations of the momentum model for a sample.
    """

    mean: Cost
    most: Cost
    taught: float

    @property
    def operations(self) -> float:
        """A sample's: forward, backward, what runs again, and the momentum model's."""
        return self.mean.operations * BACKWARD + self.mean.repeated + self.taught


def _count(
    recipe: Recipe, data: Data, passes: Passes, inputs: Inputs
) -> tuple[TwoTowerModel, _Step]:
    """The model without its momentum twin, and the cost of a step."""
    options = recipe.model_options | ({"distill_alpha": 0.0} if is_albef(recipe) else {})
    model = build_on_meta(recipe.architecture, inputs, **options)
    classes = data.classes or 2
    words = data.vocabulary
    outputs = {"mlm": words, "itm": 2, "itc": 0, "pairs": 3, "answers": words, recipe.task: classes}
    with torch.device("meta"):
        for name in passes.heads:
            kind = head_kind(recipe, name)
            model.register_classification_head(name, outputs[name], kind)
    model = model.to(dtype=getattr(torch, recipe.precision)).train()
    parts = count_parts_of(model, inputs.tokens)
    mean, most = _sums(model, parts, passes, inputs.tokens)
    taught = 0.0
    if passes.momentum:
        taught = _sums(model, parts, passes.momentum, inputs.tokens)[0].operations
    return model, _Step(mean, most, taught)


def _sums(model: TwoTowerModel, parts: PartCosts, passes: Passes, tokens: int) -> tuple[Cost, Cost]:
    """Of an average sample, and of one in the worst batch."""
    heads = [count_head_of(model, name, rows, tokens) for name, rows in passes.heads.items()]
    rest = sum(heads, parts.text * passes.texts + parts.pair * passes.pairs)
    return rest + parts.image * passes.images, rest + parts.image * passes.most_images


def count_parts_of(model: TwoTowerModel, tokens: int) -> PartCosts:
    """The parts of any family's model."""
    if isinstance(model, AlbefModel):
        return count_albef_parts(model, tokens)
    return count_parts(model, tokens)


def count_head_of(model: TwoTowerModel, name: str, rows: int, tokens: int) -> Cost:
    """A head of any family's model."""
    if isinstance(model, AlbefModel):
        return count_albef_head(model, name, rows, tokens, LOSS_BYTES)
    return count_head(model, name, rows, LOSS_BYTES)
