"""Registers everything of this package with fairseq; ``--user-dir user_dir`` imports it."""

from __future__ import annotations

import importlib

from mt_fairseq import compat
from mt_fairseq.errors import install_excepthook
from mt_fairseq.models.checkpoint import let_fairseq_read_folders

MODULES = (
    "mt_fairseq.tasks.albef_pairs",
    "mt_fairseq.tasks.albef_pretrain",
    "mt_fairseq.tasks.albef_vqa",
    "mt_fairseq.tasks.grounding",
    "mt_fairseq.tasks.nlvr2",
    "mt_fairseq.tasks.snli_ve",
    "mt_fairseq.tasks.retrieval",
    "mt_fairseq.tasks.vlp_mlm_itm",
    "mt_fairseq.tasks.vqa",
    "mt_fairseq.criterions.albef",
    "mt_fairseq.criterions.albef_classification",
    "mt_fairseq.criterions.albef_pairs",
    "mt_fairseq.criterions.albef_vqa",
    "mt_fairseq.criterions.classification",
    "mt_fairseq.criterions.itc_itm",
    "mt_fairseq.criterions.itm_ranking",
    "mt_fairseq.criterions.mlm_itm",
    "mt_fairseq.criterions.vqa",
    "mt_fairseq.models.albef.model",
    "mt_fairseq.models.two_tower.bridgetower",
    "mt_fairseq.models.two_tower.managertower",
    "mt_fairseq.models.two_tower.meter",
    "mt_fairseq.optim.adamw",
    "mt_fairseq.optim.linear",
    "mt_fairseq.evaluation.grounding",
    "mt_fairseq.evaluation.retrieval_scorer",
    "mt_fairseq.evaluation.scorers",
)

compat.apply()
install_excepthook()
let_fairseq_read_folders()
for name in MODULES:
    importlib.import_module(name)
importlib.import_module("mt_fairseq.run_checks.door").install()
