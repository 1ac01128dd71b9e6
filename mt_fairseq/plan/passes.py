"""How often each part of a recipe's model runs for one sample."""

from __future__ import annotations

from dataclasses import replace

from fairseq.models import MODEL_REGISTRY
from fairseq.tasks import TASK_REGISTRY

from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.heads import HEAD_KINDS
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.plan.recipe import Recipe
from mt_fairseq.tasks.labels import LabelTask
from mt_fairseq.tasks.passes import Passes, distils
from mt_fairseq.tasks.vision_language import VisionLanguageTask


def is_albef(recipe: Recipe) -> bool:
    """Whether the recipe trains an ALBEF."""
    return issubclass(MODEL_REGISTRY[recipe.architecture], AlbefModel)


def task_class(recipe: Recipe) -> type[VisionLanguageTask]:
    """The recipe's task; UserError for one that is not made from this package's."""
    task = TASK_REGISTRY[recipe.task]
    if not issubclass(task, VisionLanguageTask):
        raise UserError(f"{recipe.path}: task {recipe.task} has no plan")
    return task


def passes_of(recipe: Recipe, tokens: int) -> Passes:
    """Those of a recipe with texts of ``tokens``; UserError for a task without a plan."""
    task = task_class(recipe)
    passes = task.passes(recipe, tokens)
    return _of_albef(recipe, task, passes) if is_albef(recipe) else passes


def _of_albef(recipe: Recipe, task: type[VisionLanguageTask], passes: Passes) -> Passes:
    """ALBEF fuses a text with all of its images at once, and its momentum model runs besides.

    It gives features where samples are contrasted, else what the model itself gives.
    """
    passes = replace(passes, pairs=passes.pairs / task.images_a_sample)
    if task.counts_momentum or not task.momentum_model:
        return passes
    if passes.contrasts:
        return replace(passes, momentum=Passes(texts=1, images=1, pairs=0, most_images=1))
    taught = all(HEAD_KINDS[head_kind(recipe, name)].momentum for name in passes.heads)
    return replace(passes, momentum=passes) if taught and distils(recipe) else passes


def head_kind(recipe: Recipe, head: str) -> str:
    """The kind of a head: that of a task's own is the task's to say, others are named by it."""
    task = task_class(recipe)
    return task.head_kind if issubclass(task, LabelTask) and head == task.name else head
