"""Commands on the recipes' pages: options that exist, and the recipe's effective batch."""

from __future__ import annotations

import math
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml
from fairseq.dataclass.utils import merge_with_parent
from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf

from mt_fairseq.plan.__main__ import build_parser
from mt_fairseq.plan.recipe import DEFAULT_CONFIG, WORLD_SIZE, Recipe, read_recipe
from tests.support import ROOT

PAGES = sorted(
    path
    for path in (ROOT / "examples").glob("*/README.md")
    if "fairseq-hydra-train" in path.read_text(encoding="utf-8")
)
NODES = {"srun": 16, "torchrun": 16}  # processes of the page's commands


def commands(page: Path) -> list[list[str]]:
    """Words of every command in the page's code blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def trainings(page: Path) -> list[list[str]]:
    return [words for words in commands(page) if any("hydra-train" in word for word in words)]


def composed(words: list[str]) -> Recipe:
    """The configuration that a command of the page runs."""
    folder = words[words.index("--config-dir") + 1]
    name = words[words.index("--config-name") + 1]
    overrides = [w for w in words[words.index("--config-name") + 2 :] if "=" in w]
    return read(str(ROOT / folder / f"{name}.yaml"), *overrides)


@cache
def read(config: str, *overrides: str) -> Recipe:
    return read_recipe(config, list(overrides))


def check_options(recipe: Recipe) -> None:
    """Task and model know every option that is named."""
    merge_with_parent(TASK_DATACLASS_REGISTRY[recipe.task](), recipe.cfg.task)
    merge_with_parent(MODEL_DATACLASS_REGISTRY[recipe.architecture](), recipe.cfg.model)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_commands_compose_and_keep_the_batch(page: Path) -> None:
    for words in trainings(page):
        recipe = composed(words)
        check_options(recipe)
        processes = NODES.get(words[0], recipe.processes or 1)
        own = read(str(recipe.path))
        assert processes * recipe.micro * recipe.steps == own.effective_batch(1), words


def spans(page: Path) -> list[str]:
    """Code within sentences, line breaks in it as spaces."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_options_in_sentences_exist(page: Path) -> None:
    """Each fits the page's first recipe; those for one GPU keep its batch."""
    recipe = composed(trainings(page)[0])
    for span in spans(page):
        words = [w.partition("=") for w in shlex.split(span) if re.match(r"\+?\w+\.\w+=", w)]
        overrides = {name: value for name, _, value in words}
        architecture = overrides.pop("model._name", recipe.architecture)
        for name, value in overrides.items():
            check_override(recipe, architecture, name, value)
        if "update_freq" in span and overrides.get(WORLD_SIZE) == "1":
            micro = int(overrides.get("dataset.batch_size", recipe.micro))
            steps = int(overrides["optimization.update_freq"].strip("[]"))
            assert micro * steps == read(str(recipe.path)).effective_batch(1), span


def check_override(recipe: Recipe, architecture: str, name: str, value: str) -> None:
    """Hydra wants a plus before what the file does not name; task and model must know the rest."""
    group, _, key = name.lstrip("+").partition(".")
    assert (key not in recipe.cfg[group]) == name.startswith("+"), name
    known = {
        "task": TASK_DATACLASS_REGISTRY[recipe.task],
        "model": MODEL_DATACLASS_REGISTRY[architecture],
    }
    if group in known:
        OmegaConf.merge(OmegaConf.structured(known[group]()), {key: yaml.safe_load(value)})


def test_table_of_batches_has_every_recipe_and_its_batch() -> None:
    text = (ROOT / "examples/launching/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| (.*) \|$", text, re.MULTILINE)
    table = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}
    recipes = {
        path.parts[-3] if path.stem == DEFAULT_CONFIG else f"{path.parts[-3]}/{path.stem}"
        for path in (ROOT / "examples").glob("*/config/*.yaml")
        if "tiny" not in path.stem and path.parts[-3] != "albef"
    }
    assert table.keys() == recipes
    for name, cells in table.items():
        recipe = read(name)
        assert cells[0] == f"{recipe.processes} x {recipe.micro} x {recipe.steps}"
        ways = [[int(number) for number in cell.split(" x ")] for cell in cells]
        assert [way[0] for way in ways] == [8, 1, 16]
        assert {math.prod(way) for way in ways} == {recipe.effective_batch(1)}, name


def test_plans_of_the_page_parse() -> None:
    plans = [w for w in commands(ROOT / "examples/launching/README.md") if "mt_fairseq.plan" in w]
    assert plans
    for words in plans:
        args = build_parser().parse_intermixed_args(words[words.index("mt_fairseq.plan") + 1 :])
        check_options(read_recipe(args.config, args.overrides))
