"""A Hydra configuration of a training run, as far as a plan depends on it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mt_fairseq.errors import UserError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEFAULT_CONFIG = "managertower_base"
WORLD_SIZE = "distributed_training.distributed_world_size"
CHECKPOINTING = "model.checkpoint_activations"


@dataclass(frozen=True)
class Recipe:
    """What stands in a configuration, overrides included.

    Attributes:
        path: of the file.
        cfg: all groups, as fairseq-hydra-train sees them.
        processes: the GPUs that its batch size and accumulation are for; None if it names none.
    """

    path: Path
    cfg: DictConfig
    processes: int | None

    @property
    def task(self) -> str:
        """Registered name of the task."""
        return str(self.cfg.task._name)

    @property
    def architecture(self) -> str:
        """Registered name of the model."""
        return str(self.cfg.model._name)

    @property
    def model_options(self) -> dict[str, Any]:
        """What the file says about the model; the rest is as the architecture has it."""
        options = OmegaConf.to_container(self.cfg.model, resolve=True)
        assert isinstance(options, dict)
        return {str(name): value for name, value in options.items() if name != "_name"}

    def option(self, group: str, name: str, default: Any) -> Any:
        """A value that the file may leave out, or name as missing (???)."""
        node = self.cfg[group]
        if name not in node or OmegaConf.is_missing(node, name) or node[name] is None:
            return default
        return node[name]

    @property
    def data(self) -> str | None:
        """The data-bin, None where the file leaves it to the command line."""
        return self.option("task", "data", None)

    @property
    def precision(self) -> str:
        """bfloat16, float16 or float32."""
        if self.cfg.common.bf16:
            return "bfloat16"
        return "float16" if self.cfg.common.fp16 else "float32"

    @property
    def checkpointing(self) -> bool:
        """Whether layers run again in the backward pass."""
        return bool(OmegaConf.select(self.cfg, CHECKPOINTING, default=False))

    def with_checkpointing(self, on: bool) -> Recipe:
        """The same recipe with layers that run again in the backward pass, or without."""
        cfg = copy.deepcopy(self.cfg)
        OmegaConf.update(cfg, CHECKPOINTING, on, force_add=True)
        return replace(self, cfg=cfg)

    @property
    def steps(self) -> int:
        """Accumulated batches an update; UserError where they change from epoch to epoch."""
        if len(self.cfg.optimization.update_freq) != 1:
            raise UserError(
                f"{self.path}: optimization.update_freq must be one number in brackets, [4]"
            )
        return int(self.cfg.optimization.update_freq[0])

    @property
    def micro(self) -> int:
        """Samples a batch; UserError where batches are sized by tokens."""
        if not self.cfg.dataset.batch_size:
            raise UserError(f"{self.path}: gives no dataset.batch_size")
        return int(self.cfg.dataset.batch_size)

    def contrasted(self, gpus: int) -> int:
        """Samples seen at once, on the file's GPUs, or on ``gpus`` where it names none."""
        return (self.processes or gpus) * self.micro

    def effective_batch(self, gpus: int) -> int:
        """Samples of an update, likewise."""
        return self.contrasted(gpus) * self.steps


def find_config(name: str) -> Path:
    """A file, or the name of a recipe: ``vqa``, ``vqa/bridgetower_large``.

    Raises UserError that lists the recipes if there is none of this name.
    """
    if Path(name).is_file():
        return Path(name).resolve()
    folder, _, config = name.partition("/")
    candidates = sorted((EXAMPLES / folder / "config").glob("*.yaml")) if folder else []
    for path in candidates:
        if path.stem == (config or DEFAULT_CONFIG):
            return path
    known = [f"{p.parts[-3]}/{p.stem}" for p in sorted(EXAMPLES.glob("*/config/*.yaml"))]
    listed = f"; recipes: {', '.join(known)}" if known else ""
    raise UserError(f"{name}: neither a .yaml file nor a recipe{listed}")


def read_recipe(name: str, overrides: list[str]) -> Recipe:
    """Compose a configuration as fairseq-hydra-train does.

    Raises UserError for a file or an override that Hydra refuses, and for options that the chosen
    task or model lacks.
    """
    from fairseq.dataclass import utils
    from fairseq.dataclass.initialize import hydra_init
    from fairseq.models import MODEL_DATACLASS_REGISTRY
    from fairseq.tasks import TASK_DATACLASS_REGISTRY
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    import mt_fairseq.plugin  # noqa: F401  (fills the registries)

    path = find_config(name)
    hydra_init(path.stem)  # fairseq's own options, with their defaults, under this name
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(path.parent), version_base="1.1"):
            cfg = compose(path.stem, overrides=overrides)
    except HydraException as error:
        raise UserError(f"{path.name}: {' '.join(str(error).split())}") from error
    registries = {"task": TASK_DATACLASS_REGISTRY, "model": MODEL_DATACLASS_REGISTRY}
    for group, registry in registries.items():
        name = OmegaConf.select(cfg, f"{group}._name")
        if name not in registry:
            raise UserError(f"{path.name}: {group}._name={name}: there is no such {group}")
        utils.merge_with_parent(registry[name](), cfg[group])
    return Recipe(path, cfg, _processes(path, cfg, overrides))


def _processes(path: Path, cfg: DictConfig, overrides: list[str]) -> int | None:
    """Named GPUs; fairseq's default is those of the machine it runs on, which say nothing here."""
    named = OmegaConf.select(OmegaConf.load(path), WORLD_SIZE) is not None
    named = named or any(
        override.lstrip("+").startswith(f"{WORLD_SIZE}=") for override in overrides
    )
    return int(OmegaConf.select(cfg, WORLD_SIZE)) if named else None
