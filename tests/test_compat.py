"""One test for each mend that fairseq needs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils, options
from fairseq.data import data_utils
from fairseq.dataclass import utils as dataclass_utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed_utils
from fairseq.file_io import PathManager
from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.optim.fp16_optimizer import FP16Optimizer
from fairseq.trainer import Trainer
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

import mt_fairseq.plugin  # noqa: F401
from mt_fairseq import compat
from mt_fairseq.errors import UserError
from tests import support


def test_checkpoint_with_a_namespace_loads_with_the_safe_loader(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"args": None, "cfg": argparse.Namespace(seed=1), "model": {}}, path)
    assert torch.load(path, weights_only=True)["cfg"].seed == 1


def test_safe_loader_still_refuses_code(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"model": subprocess.Popen}, path)
    with pytest.raises(Exception, match=r"weights_only|Unsupported"):
        torch.load(path)


def test_bf16_on_the_command_line_asks_for_no_tpu() -> None:
    parser = options.get_training_parser()
    args = options.parse_args_and_arch(
        parser,
        ["data", "--user-dir", str(support.USER_DIR), "--task", "vqa", "--criterion", "vqa",
         "--arch", "managertower_tiny", "--bf16", "--optimizer", "adamw"],
    )  # fmt: skip
    cfg = convert_namespace_to_omegaconf(args)
    assert cfg.common.bf16
    assert not cfg.common.tpu


def test_fp16_keeps_the_groups_of_an_optimizer_that_has_some() -> None:
    parser = options.get_training_parser()
    args = options.parse_args_and_arch(
        parser,
        ["data", "--user-dir", str(support.USER_DIR), "--task", "vqa", "--criterion", "vqa",
         "--arch", "managertower_tiny", "--fp16", "--optimizer", "adamw"],
    )  # fmt: skip
    model = torch.nn.Linear(2, 3).half()
    model.bias.param_group = "head.no_decay"  # type: ignore[assignment]
    optimizer = FP16Optimizer.build_optimizer(
        convert_namespace_to_omegaconf(args), list(model.parameters())
    )
    assert [group["name"] for group in optimizer.param_groups] == ["base", "head.no_decay"]
    assert all(p.dtype == torch.float32 for g in optimizer.param_groups for p in g["params"])


def test_copying_a_checkpoint_never_leaves_a_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, last = tmp_path / "checkpoint1.pt", tmp_path / "checkpoint_last.pt"
    source.write_bytes(b"new" * 1000)
    last.write_bytes(b"old")

    def die_half_way(src: str, dst: str) -> None:
        Path(dst).write_bytes(Path(src).read_bytes()[:100])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(compat.shutil, "copyfile", die_half_way)
        with pytest.raises(KeyboardInterrupt):
            PathManager.copy(str(source), str(last), overwrite=True)
    assert last.read_bytes() == b"old"
    assert checkpoint_utils.PathManager.copy(str(source), str(last), overwrite=True)
    assert last.read_bytes() == source.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["checkpoint1.pt", "checkpoint_last.pt"]


def test_copy_refuses_to_overwrite_unless_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        PathManager.copy(str(tmp_path / "a"), str(tmp_path / "b"))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 20, 21])
@pytest.mark.parametrize("multiple", [1, 2, 8])
@pytest.mark.parametrize("limits", [(None, 4), (None, 12), (100, None)])
def test_every_sample_is_in_a_batch(
    count: int, multiple: int, limits: tuple[int | None, int | None]
) -> None:
    compat.apply()
    batches = data_utils.batch_by_size(
        np.arange(count),
        lambda index: 20,
        max_tokens=limits[0],
        max_sentences=limits[1],
        required_batch_size_multiple=multiple,
    )
    assert [int(i) for batch in batches for i in batch] == list(range(count))


def test_libraries_do_not_chatter() -> None:
    code = "import fairseq.models, mt_fairseq.plugin, logging; print(logging.getLogger().level)"
    assert support.python("-c", code).stdout.strip() == "20"


def test_pin_memory_warning_is_silenced_and_others_are_not() -> None:
    code = (
        "import warnings, mt_fairseq.compat as c; c.silence_warnings_about_fairseq();"
        "warnings.warn(\"'pin_memory' argument is set as true but no accelerator is found\");"
        "warnings.warn('something else')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=support.ROOT
    )
    assert "pin_memory' argument" not in done.stderr.replace(code, "")
    assert "something else" in done.stderr
    assert warnings.filters  # the filter list itself stays as it is in this process


def test_applying_twice_changes_nothing() -> None:
    before = PathManager.copy
    compat.apply()
    assert PathManager.copy is before


def test_an_unknown_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["data", "--task", "vqa", "--criterion", "vqa", "--arch", "managertower_tiny"]
    with pytest.raises(SystemExit) as ended:
        options.parse_args_and_arch(options.get_training_parser(), [*line, "--bridge-type", "b"])
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: unrecognized arguments: --bridge-type b")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (["--update-freq", "1.5"], "argument --update-freq: not whole numbers"),
        (["--update-freq", "[1"], "argument --update-freq: not numbers"),
        (["--lr", "fast"], "argument --lr: not numbers"),
        (["--fp16", "--bf16"], "Cannot combine"),
    ],
)
def test_a_list_that_is_none_is_one_line(
    further: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["data", "--task", "vqa", "--criterion", "vqa", "--arch", "managertower_tiny"]
    with pytest.raises(SystemExit):
        options.parse_args_and_arch(options.get_training_parser(), [*line, *further])
    told = capsys.readouterr().err.strip()
    assert told.startswith(f"error: {words}") and "\n" not in told


def test_lists_stay_what_they_were() -> None:
    line = ["data", "--task", "vqa", "--criterion", "vqa", "--arch", "managertower_tiny"]
    line += ["--lr", "1e-3,1e-4", "--update-freq", "[4]"]
    args = options.parse_args_and_arch(options.get_training_parser(), line)
    assert (args.lr, args.update_freq) == ([1e-3, 1e-4], [4])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"bridge_type": "b"}, "managertower_tiny has no option bridge_type"),
        ({"manager_query": "best"}, "option manager_query of managertower_tiny: Invalid value"),
        ({"hidden_size": "wide"}, "option hidden_size of managertower_tiny: "),
    ],
)
def test_an_unknown_hydra_option_is_one_line(values: dict, words: str) -> None:
    kind = MODEL_DATACLASS_REGISTRY["managertower_tiny"]()
    given = OmegaConf.create({"_name": "managertower_tiny", **values})
    with pytest.raises(UserError, match=words) as raised:
        dataclass_utils.merge_with_parent(kind, given)
    assert "\n" not in str(raised.value)


def test_hydra_shows_a_users_mistake_as_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    failed = JobReturn(status=JobStatus.FAILED)
    failed.return_value = UserError("no such data-bin")
    with pytest.raises(SystemExit):
        _ = failed.return_value
    assert capsys.readouterr().err == "error: no such data-bin\n"
    failed.return_value = KeyError("a fault of ours")
    with pytest.raises(KeyError):
        _ = failed.return_value
    done = JobReturn(status=JobStatus.COMPLETED)
    done.return_value = 3
    assert done.return_value == 3


def test_a_dummy_batch_says_so() -> None:
    trainer = object.__new__(Trainer)
    trainer.cuda = trainer.tpu = False
    trainer.cfg = OmegaConf.create(
        {"common": {"on_cpu_convert_precision": False, "fp16": False, "bf16": False}}
    )
    trainer._dummy_batch = first = {"id": torch.tensor([7])}
    prepared, is_dummy = trainer._prepare_sample({"id": torch.tensor([8])})
    assert (is_dummy, prepared) == (False, {"id": torch.tensor([8])})
    prepared, is_dummy = trainer._prepare_sample({})
    assert is_dummy
    assert prepared == {**first, "is_dummy": True}
    assert "is_dummy" not in first


def test_lists_are_gathered_without_cuda(tmp_path: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", world_size=1, rank=0
    )
    try:
        data = [{"loss": torch.tensor(1.5), "count": 2}]
        assert distributed_utils.all_gather_list(data, torch.distributed.group.WORLD) == [data]
    finally:
        torch.distributed.destroy_process_group()
