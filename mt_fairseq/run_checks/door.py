"""Where the checks are hung into fairseq's commands.

fairseq-train, -validate and -hydra-train pass through ``call_main``, before other processes are
started; fairseq-generate through its own ``main``, before it opens a file to write. Under Hydra the
plug-in may be imported only by ``main`` itself, when ``call_main`` has begun: there the checks wait
for the defaults of this package's options, which ``main`` adds next.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed_utils
from fairseq_cli import generate
from omegaconf import DictConfig

from mt_fairseq.run_checks.checks import check_generation, check_training, check_validation

CHECKS: dict[str, Callable[[DictConfig], None]] = {
    "train": check_training,
    "validate": check_validation,
}
_installed = False


def install() -> None:
    """Hang in all checks; a second call changes nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    check_before_processes()
    check_before_generation()
    check_after_defaults()


def check_before_processes() -> None:
    """Check what passes through ``call_main``, by the file that the called ``main`` stands in."""
    original = distributed_utils.call_main

    @functools.wraps(original)
    def call_main(cfg: DictConfig, main: Callable[..., Any], **kwargs: Any) -> Any:
        check = CHECKS.get(Path(inspect.getfile(main)).stem)
        if check is not None:
            check(cfg)
        return original(cfg, main, **kwargs)

    distributed_utils.call_main = call_main


def check_before_generation() -> None:
    """Check what fairseq-generate, or ``mt_fairseq.evaluate``, is asked for."""
    original = generate.main

    @functools.wraps(original)
    def main(cfg: argparse.Namespace | DictConfig) -> Any:
        config = convert_namespace_to_omegaconf(cfg) if isinstance(cfg, argparse.Namespace) else cfg
        check_generation(config)
        return original(config)

    generate.main = main


def check_after_defaults() -> None:
    """Check a training that ``call_main`` let through before the plug-in was there."""
    train: Any = sys.modules.get("fairseq_cli.train")
    if train is None:
        return
    original = train.add_defaults

    @functools.wraps(original)
    def add_defaults(cfg: DictConfig) -> None:
        original(cfg)
        check_training(cfg)

    train.add_defaults = add_defaults
