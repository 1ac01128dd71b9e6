"""Lightning files are read by the safe loader, whatever else they hold."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from mt_fairseq.convert.lightning import read_official
from mt_fairseq.errors import UserError


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """Classes under the names that old Lightning versions put into their files."""
    made = {}
    for name, base in (
        ("pytorch_lightning.utilities.parsing.AttributeDict", dict),
        ("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", object),
    ):
        module, _, short = name.rpartition(".")
        made[short] = type(short, (base,), {"__module__": module})
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            parent = ".".join(parts[:end])
            monkeypatch.setitem(
                sys.modules, parent, sys.modules.get(parent) or types.ModuleType(parent)
            )
        setattr(sys.modules[module], short, made[short])
    return made


@pytest.mark.parametrize("zipped", [True, False])
def test_old_lightning_file(
    zipped: bool, lightning: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "state_dict": {"a": torch.arange(3.0)},
        "hyper_parameters": lightning["AttributeDict"](config={"max_text_len": 40}),
        "callbacks": {lightning["ModelCheckpoint"]: {"best_model_score": torch.tensor(0.5)}},
    }
    torch.save(content, tmp_path / "old.ckpt", _use_new_zipfile_serialization=zipped)
    for name in list(sys.modules):
        if name.startswith("pytorch_lightning"):
            monkeypatch.delitem(sys.modules, name)  # nobody has it installed
    state, hyper = read_official(tmp_path / "old.ckpt")
    assert state["a"].tolist() == [0, 1, 2]
    assert hyper == {"max_text_len": 40}


def test_state_dict_alone(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "state.pt")
    state, hyper = read_official(tmp_path / "state.pt")
    assert list(state) == ["a"]
    assert hyper == {}


class Trap:
    """What an attacker would hide in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_nothing_is_run(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {"a": torch.ones(2)}, "x": Trap(tmp_path / "sprung")}, tmp_path / "trap.ckpt"
    )
    with pytest.raises(UserError, match=r"trap.ckpt: holds a pickled \w+\.mkdir.*could run code"):
        read_official(tmp_path / "trap.ckpt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not a checkpoint that can be read"),
        (b"PK\x03\x04 cut off", "not a checkpoint that can be read"),
        (b"epoch,loss\n1,2\n", "not a checkpoint that can be read"),
    ],
)
def test_bad_files(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.ckpt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_official(path)
    assert "\n" not in str(caught.value)


def test_no_tensors(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": 1}}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="no state_dict of tensors"):
        read_official(tmp_path / "x.pt")
    torch.save([1, 2], tmp_path / "y.pt")
    with pytest.raises(UserError, match="holds a list, not a checkpoint"):
        read_official(tmp_path / "y.pt")
