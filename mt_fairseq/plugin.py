"""Registers everything of this package with fairseq; ``--user-dir user_dir`` imports it."""

from __future__ import annotations

import importlib
import pkgutil

from mt_fairseq import compat
from mt_fairseq.errors import install_excepthook
from mt_fairseq.evaluation.task_scorer import hand_answers_to_scorers
from mt_fairseq.models.checkpoint import let_fairseq_read_folders

ROOMS = ("tasks", "criterions", "models", "optim", "evaluation")
"""Whatever lies in these packages is imported, and so registered."""

compat.apply()
install_excepthook()
let_fairseq_read_folders()
for room in ROOMS:
    package = importlib.import_module(f"mt_fairseq.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
hand_answers_to_scorers()
importlib.import_module("mt_fairseq.run_checks.door").install()
