"""Each command of the pages with each of its options once wrong, at fairseq's own commands.

The commands run as they stand on the pages, in a folder that has what they name, in this process.
Where a model would be built they end: the right command gets there, no wrong one does.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import DictConfig, OmegaConf

from mt_fairseq.errors import UserError
from mt_fairseq.run_checks.checks import check_training
from tests.support import ROOT, TINY, USER_DIR
from tests.wrong_options import wrong_commands, wrong_values

PAGES = [
    ROOT / "README.md",
    *sorted(  # the commands of extend need its own parts: examples/test_extend.py
        page for page in (ROOT / "examples").glob("*/README.md") if page.parent.name != "extend"
    ),
]
TOOL = re.compile(r".*fairseq-(train|validate|generate|hydra-train)\)?")
SPLITS = ("test", "testA", "testB", "dev")
# any value is right, or it is read before the plug-in can be there
LEAVE = ("--save-dir", "--user-dir", "--config-dir", "--config-name")
ALONE = "distributed_training.distributed_world_size"
# Hydra's own words, in several lines, before the plug-in can be there
HYDRA = re.compile(r"Error merging override|Could not override|Error parsing override")
FILLED = {"...": "--batch-size=4", "$(mt-user-dir)": "user_dir"}  # what a page leaves to its reader
REACHED = "the model would be built now"
TRIED: set[tuple[str, str]] = set()  # what several pages say is tried once
Run = Callable[[str, list[str]], str]


class Reached(Exception):
    """The model would be built now."""


class Command(NamedTuple):
    tool: str
    words: list[str]

    def __str__(self) -> str:
        return " ".join([self.tool, *self.words])[:90]


def page_commands() -> Iterator[Command]:
    """fairseq's commands on all pages, without what starts several processes."""
    seen = set()
    for page in PAGES:
        blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True) if TOOL.match(line) else []
            places = [place for place, word in enumerate(words) if TOOL.fullmatch(word)]
            if places and line not in seen:
                seen.add(line)
                tool = TOOL.fullmatch(words[places[0]])
                assert tool is not None
                further = [FILLED.get(word, word) for word in words[places[0] + 1 :]]
                yield Command(tool[1].replace("-", "_"), further)


COMMANDS = list(page_commands())


@pytest.fixture(scope="module")
def place(vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every data-bin and checkpoint that the pages name."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(vqa_bin, folder / "bin")
    metadata = json.loads((folder / "bin/metadata.json").read_text())
    metadata["splits"] |= dict.fromkeys(SPLITS, metadata["splits"]["valid"])
    (folder / "bin/metadata.json").write_text(json.dumps(metadata))
    write_checkpoint(folder / "bin", folder / "model.pt")
    (folder / "examples").symlink_to(ROOT / "examples")
    for path in {path for command in COMMANDS for path in named_paths(command)}:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(folder / ("model.pt" if path.endswith(".pt") else "bin"))
    return folder


def named_paths(command: Command) -> Iterator[str]:
    """Data-bins and checkpoints of a command, and the checkpoint of its recipe."""
    for word in command.words:
        path = word.partition("=")[2] if "=" in word else word
        if path.endswith(".pt") or "data-bin/" in path:
            yield path
    if command.tool == "hydra_train":
        folder = command.words[command.words.index("--config-dir") + 1]
        name = command.words[command.words.index("--config-name") + 1]
        recipe = OmegaConf.load(ROOT / folder / f"{name}.yaml")
        named = OmegaConf.select(recipe, "checkpoint.finetune_from_model")
        if named:
            yield named


def compose(data: Path, *further: str) -> DictConfig:
    """The configuration of a VQA training."""
    line = [str(data), "--user-dir", str(USER_DIR), "--task", "vqa", "--criterion", "vqa", *TINY]
    line += ["--batch-size", "4", "--max-update", "9", *further]
    return convert_namespace_to_omegaconf(
        options.parse_args_and_arch(options.get_training_parser(), line)
    )


def write_checkpoint(data: Path, path: Path) -> None:
    """What is read of a checkpoint before a model is built."""
    cfg = compose(data)
    content = {
        "args": None,
        "cfg": OmegaConf.to_container(cfg),
        "task_state": tasks.setup_task(cfg.task).state_dict(),
        "optimizer_history": [{"num_updates": 0, "lr_scheduler_state": {}}],
        "extra_state": {"train_iterator": {"epoch": 1}},
        "model": {},
    }
    torch.save(content, path)


@pytest.fixture
def run(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command to where the model is built, and gives what it says is wrong."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(tasks.FairseqTask, "build_model", reach)
    monkeypatch.setattr(logging, "raiseExceptions", False)  # of handlers on another test's output

    def start(tool: str, words: list[str]) -> str:
        monkeypatch.setattr(sys, "argv", [tool, *words, *here(tool, words, tmp_path)])
        capfd.readouterr()
        try:
            importlib.import_module(f"fairseq_cli.{tool}").cli_main()
        except Reached:
            return REACHED
        except UserError as error:
            return f"error: {error}"
        except SystemExit as ended:
            assert ended.code
        finally:
            save = tmp_path / "save"
            assert not save.exists() or not any(save.iterdir())
        told = capfd.readouterr().err.strip()
        return REACHED if REACHED in told else told

    return start


def reach(*args: object, **kwargs: object) -> None:
    raise Reached(REACHED)


def here(tool: str, words: list[str], folder: Path) -> list[str]:
    """Further words that let a command run in any folder and on one process."""
    if tool == "hydra_train":
        single = [] if any(ALONE in word for word in words) else [f"{ALONE}=1"]
        logs = [f"hydra.run.dir={folder}/hydra", "hydra/job_logging=none"]
        return [f"common.user_dir={USER_DIR}", f"checkpoint.save_dir={folder}/save", *logs, *single]
    own = ["--user-dir", str(USER_DIR)]
    saves = tool == "train" and "new/" not in " ".join(words)
    return [*own, "--save-dir", f"{folder}/save"] if saves else own


def check_told(told: str, option: str, value: str) -> None:
    """One line that names the option or its value; Hydra's own may take several."""
    assert told != REACHED, f"{option} {value} is taken"
    assert "Traceback" not in told and "usage:" not in told, told
    if HYDRA.search(told):
        assert option in told, told
        return
    last = told.splitlines()[-1]
    assert last.startswith("error: "), told
    name = option.rpartition(".")[2].replace("_", "-")
    assert name in last.replace("_", "-") or value.strip("[]").split(",")[-1] in last, told


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_each_option_of_a_page_once_wrong(command: Command, run: Run, place: Path) -> None:
    before = sorted(place.rglob("*"))
    assert run(*command) == REACHED
    for wrong in wrong_commands(command.words, LEAVE):
        if (command.tool, wrong.kind) not in TRIED:
            TRIED.add((command.tool, wrong.kind))
            check_told(run(command.tool, wrong.words), wrong.option, wrong.value)
    assert sorted(place.rglob("*")) == before


VQA = ["data-bin/vqav2", "--task", "vqa", "--criterion", "vqa", *TINY, "--cpu", "--batch-size", "4",
       "--max-update", "9"]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--update-freq", "1.5"),
        ("--update-freq", "[1"),
        ("--lr", "nan"),
        ("--image-size", "0"),
        ("--image-size", "32x"),
        ("--save-dir", "model.pt/new/save"),
        ("--tensorboard-logdir", "model.pt"),
        ("--restore-file", "nothing.pt"),
        ("--restore-file", "examples"),
        ("--continue-once", "nothing.pt"),
        ("--arch", "nothing"),
    ],
)
def test_wrong_value(option: str, value: str, run: Run) -> None:
    check_told(run("train", [*VQA, option, value]), option, value)


@pytest.fixture(scope="module")
def cfg(place: Path) -> DictConfig:
    """A right configuration."""
    cfg = compose(place / "bin", "--save-dir", str(place / "new"))
    check_training(cfg)
    return cfg


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("optimization.max_update", -1),
        ("lr_scheduler.max_update", 0),
        ("optimization.max_epoch", -1),
        ("optimization.update_freq", [0]),
        ("optimization.clip_norm", -1),
        ("common.log_interval", 0),
        ("common.seed", -1),
        ("dataset.num_workers", -1),
        ("dataset.validate_interval", 0),
        ("dataset.valid_subset", "validation"),
        ("checkpoint.save_interval", 0),
        ("checkpoint.keep_last_epochs", -2),
        ("checkpoint.keep_interval_updates_pattern", 0),
        ("checkpoint.optimizer_overrides", "{"),
        ("checkpoint.best_checkpoint_metric", "accuracy"),
        ("checkpoint.best_checkpoint_metric", "vqa_score"),
        ("checkpoint.maximize_best_checkpoint_metric", True),
        ("lr_scheduler.warmup_updates", -5),
        ("optimizer.adam_beta1", 1.0),
        ("optimizer.adam_beta2", 1.5),
        ("optimizer.adam_eps", -1.0),
        ("optimizer.weight_decay", -0.1),
        ("optimizer.head_lr_multiplier", float("nan")),
        ("distributed_training.distributed_world_size", 0),
        ("distributed_training.distributed_world_size", 1000),
        ("distributed_training.distributed_rank", 1),
        ("task.train_splits", "train,nothing"),
        ("task._name", "nothing"),
        ("model._name", "nothing"),
        ("criterion._name", "nothing"),
        ("ema.ema_decay", 1.5),
    ],
)
def test_wrong_setting(option: str, value: object, cfg: DictConfig) -> None:
    wrong = OmegaConf.create(OmegaConf.to_container(cfg))
    OmegaConf.update(wrong, option, value)
    with pytest.raises(UserError) as raised:
        check_training(wrong)
    check_told(f"error: {raised.value}", option.removesuffix("._name"), str(value))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("checkpoint.keep_last_epochs", -1),
        ("checkpoint.keep_best_checkpoints", -1),
        ("checkpoint.keep_interval_updates_pattern", -1),
        ("checkpoint.patience", -1),
        ("checkpoint.patience", 0),
        ("checkpoint.save_interval_updates", 0),
        ("dataset.validate_interval_updates", 0),
        ("dataset.num_workers", 0),
        ("optimization.max_epoch", 0),
        ("optimization.clip_norm", 0),
        ("optimization.stop_min_lr", -1),
        ("optimization.update_freq", [2, 1]),
        ("distributed_training.distributed_port", -1),
    ],
)
def test_settings_that_mean_something_stay(option: str, value: object, cfg: DictConfig) -> None:
    right = OmegaConf.create(OmegaConf.to_container(cfg))
    OmegaConf.update(right, option, value)
    check_training(right)


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (["--disable-validation", "--patience", "3"], "--patience 3"),
        (["--disable-validation", "--keep-best-checkpoints", "2"], "--keep-best-checkpoints 2"),
        (["--restore-file", "a.pt", "--finetune-from-model", "b.pt"], "not both"),
        (["--finetune-from-model", "model.pt", "--reset-optimizer"], "leave out"),
        (["--fp16", "--bf16"], "Cannot combine"),
    ],
)
def test_options_that_do_not_go_together(further: list[str], words: str, run: Run) -> None:
    told = run("train", [*VQA, *further])
    assert words in told and told.splitlines()[-1].startswith("error: "), told


@pytest.mark.parametrize("tool", ["generate", "validate"])
@pytest.mark.parametrize("path", ["nothing.pt", "model.pt:nothing.pt", "examples", "bin/dict.txt"])
def test_model_that_is_not_there(tool: str, path: str, run: Run) -> None:
    told = run(tool, ["data-bin/vqav2", "--task", "vqa", "--batch-size", "4", "--path", path])
    check_told(told, "--path", path.rpartition(":")[2])


def test_results_of_before_stay(run: Run, tmp_path: Path) -> None:
    results = tmp_path / "generate-valid.txt"
    results.write_text("of before")
    line = ["data-bin/vqav2", "--task", "vqa", "--path", "nothing.pt", "--gen-subset", "valid"]
    check_told(run("generate", [*line, "--results-path", str(tmp_path)]), "--path", "nothing.pt")
    assert results.read_text() == "of before"


def test_wrong_values_of_each_kind() -> None:
    assert wrong_values("8") == ["nonsense", "-8"]
    assert wrong_values("0") == ["nonsense", "-1"]
    assert wrong_values("[1e-5]") == ["[nonsense]", "[-1e-5]"]
    assert wrong_values("itc,mlm") == ["itc,nonsense"]
    assert wrong_values("runs/vqa.pt") == ["runs/vqa.pt.nonsense"]
    line = ["data", "--lr", "0.1", "--cpu", "--box", "1,2", "3,4", "task.data=data", "+model.x=3"]
    assert [str(wrong) for wrong in wrong_commands(line, ["task.data"])] == [
        "argument 1=nonsense", "--lr=nonsense", "--lr=-0.1", "--box=1,nonsense", "--box=-1,2",
        "--box=3,nonsense", "--box=-3,4", "model.x=nonsense", "model.x=-3",
    ]  # fmt: skip
