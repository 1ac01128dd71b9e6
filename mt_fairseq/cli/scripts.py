"""Console scripts: ``mt-NAME`` is ``python -m mt_fairseq.NAME``, on the search path."""

from __future__ import annotations

import importlib

from mt_fairseq.errors import cli_entry


def run(module: str) -> int:
    """Run the ``main`` of a command's module; errors of the user are one line, as with ``-m``."""
    # imported here: each script loads its own command alone
    return int(cli_entry(importlib.import_module(module).main)())


def evaluate() -> int:
    return run("mt_fairseq.evaluate")


def predict() -> int:
    return run("mt_fairseq.predict")


def plan() -> int:
    return run("mt_fairseq.plan.__main__")


def doctor() -> int:
    return run("mt_fairseq.doctor.__main__")


def convert() -> int:
    return run("mt_fairseq.convert.__main__")


def analysis() -> int:
    return run("mt_fairseq.analysis.__main__")


def demo() -> int:
    return run("mt_fairseq.demo.__main__")
