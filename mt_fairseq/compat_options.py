"""Mends of how fairseq and Hydra answer to wrong options: one line for each mistake."""

from __future__ import annotations

import argparse
import functools
import sys
from typing import Any, NoReturn

from mt_fairseq.errors import UserError, find_user_error, last_line


def shorten_usage_errors() -> None:
    """A wrong option prints fairseq's 130 lines of usage before the one line that matters."""
    from fairseq import options

    original = options.parse_args_and_arch

    @functools.wraps(original)
    def parse_args_and_arch(parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        def error(message: str) -> NoReturn:
            hint = "--help after --arch, --task and --criterion lists what these have"
            print(f"error: {message} ({hint})", file=sys.stderr)
            raise SystemExit(2)

        parser.error = error  # type: ignore[method-assign]
        try:
            return original(parser, *args, **kwargs)
        except (RuntimeError, ValueError) as problem:  # no --arch; --fp16 beside --bf16
            parser.error(str(problem) or "--arch: name a model architecture")

    options.parse_args_and_arch = parse_args_and_arch


def read_lists_strictly() -> None:
    """``--lr [1`` is a SyntaxError, which argparse lets through, and ``--update-freq 1.5`` is 1."""
    from fairseq.dataclass import utils

    original = utils.eval_str_list

    @functools.wraps(original)
    def eval_str_list(x: Any, x_type: type = float) -> list[Any] | None:
        try:
            numbers = original(x, x_type if x_type is str else float)
        except (SyntaxError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"not numbers with commas: {x!r}") from error
        if x_type is int and numbers and not all(n.is_integer() for n in numbers):
            raise argparse.ArgumentTypeError(f"not whole numbers with commas: {x!r}")
        return None if numbers is None else [x_type(number) for number in numbers]

    utils.eval_str_list = eval_str_list


def name_unknown_hydra_options() -> None:
    """An option that the chosen model or task lacks, or a value that it cannot be, is a UserError.

    fairseq finds out when it merges the user's values into the dataclass of the chosen one.
    """
    from fairseq.dataclass import utils
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

    original = utils.merge_with_parent

    @functools.wraps(original)
    def merge_with_parent(dc: Any, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(dc, cfg, *args, **kwargs)
        except OmegaConfBaseException as error:
            name = cfg.get("_name") or type(dc).__name__
            if isinstance(error, ConfigKeyError):
                raise UserError(f"{name} has no option {error.full_key}") from error
            reason = str(error).splitlines()[0]
            raise UserError(f"option {error.full_key} of {name}: {reason}") from error

    utils.merge_with_parent = merge_with_parent


def shorten_hydra_errors() -> None:
    """Hydra catches all errors itself, and shows a traceback for a user's mistake too."""
    from hydra.core.utils import JobReturn, JobStatus

    def value(self: JobReturn) -> Any:
        found = None
        if self.status == JobStatus.FAILED:
            found = find_user_error(self._return_value)
        if found is None:
            return getter(self)
        print(f"error: {last_line(found)}", file=sys.stderr)
        raise SystemExit(1)

    getter = JobReturn.return_value.fget
    JobReturn.return_value = JobReturn.return_value.getter(value)
