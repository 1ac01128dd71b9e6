"""What a criterion declares for choosing the best checkpoint is what its validation logs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from fairseq import options, tasks
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.logging import metrics

from mt_fairseq import plugin  # noqa: F401
from tests.support import TINY, USER_DIR
from tests.tasks.classification import demonstration_bins

# counts, speeds and weights: logged too, and nothing to choose a checkpoint by
OTHERS = {"nsentences", "wps", "wpb", "bsz", "alpha"}
ALBEF = ["--arch", "albef_tiny", "--queue-size", "8"]

PAIRS = [
    ("vqa", "vqa", "vqa", []),
    ("captions", "vlp_mlm_itm", "mlm_itm", []),
    ("captions", "vlp_mlm_itm", "mlm_itm", ["--itc"]),
    ("captions", "retrieval", "itc_itm", []),
    ("captions", "retrieval", "itm_ranking", ["--false-texts", "2"]),
    ("snli_ve", "snli_ve", "classification", []),
    ("nlvr2", "nlvr2", "classification", []),
    ("captions", "albef_pretrain", "albef_pretrain", ALBEF),
    ("captions", "albef_pretrain", "albef_pretrain", [*ALBEF, "--objectives", "mlm,itm"]),
    ("captions", "retrieval", "albef_retrieval", ALBEF),
    ("captions", "albef_pairs", "albef_pairs", ALBEF),
    ("vqa", "albef_vqa", "albef_vqa", ALBEF),
    ("snli_ve", "snli_ve", "albef_classification", ALBEF),
    ("nlvr2", "nlvr2", "albef_classification", ALBEF),
]


@pytest.fixture(scope="module")
def bins(
    vqa_bin: Path, caption_bin: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    made = demonstration_bins(tmp_path_factory.mktemp("labels"))
    return {"vqa": vqa_bin, "captions": caption_bin, **made}


@pytest.mark.parametrize(("data", "task", "criterion", "further"), PAIRS)
def test_declared_is_what_is_logged(
    data: str, task: str, criterion: str, further: list[str], bins: dict[str, Path]
) -> None:
    line = [str(bins[data]), "--user-dir", str(USER_DIR), "--task", task, "--criterion", criterion]
    line += [*TINY, "--max-update", "9", "--batch-size", "4", *further]
    args = options.parse_args_and_arch(options.get_training_parser(), line)
    cfg = convert_namespace_to_omegaconf(args)
    declared = CRITERION_REGISTRY[criterion].declared_metrics(cfg)
    assert set(validate(cfg)) - OTHERS == set(declared)


def validate(cfg) -> dict[str, float]:
    """The metrics of the validation split, as fairseq's trainer makes them."""
    torch.manual_seed(0)
    task = tasks.setup_task(cfg.task)
    model, criterion = task.build_model(cfg.model), task.build_criterion(cfg.criterion)
    task.load_dataset("valid")
    batches = task.get_batch_iterator(
        task.dataset("valid"), max_sentences=4, required_batch_size_multiple=1
    )
    logs = []
    for batch in islice(batches.next_epoch_itr(shuffle=False), 2):
        logs.append(task.valid_step(batch, model.eval(), criterion)[2])
    with metrics.aggregate(new_root=True) as found:
        task.reduce_metrics(logs, criterion)
    return found.get_smoothed_values()


def test_every_criterion_of_this_package_declares() -> None:
    own = {
        name: entry
        for name, entry in CRITERION_REGISTRY.items()
        if entry.__module__.startswith("mt_fairseq.")
    }
    assert own.keys() == {criterion for _, _, criterion, _ in PAIRS}
    assert all(hasattr(entry, "declared_metrics") for entry in own.values())
