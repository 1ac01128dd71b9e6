"""The environment that the README makes, and what is said where a part of it is missing."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mt_fairseq.doctor import installation
from mt_fairseq.errors import FAIRSEQ, INSTALL_FAIRSEQ
from tests import support

BROKEN = "raise OSError('libcudart.so.13: cannot open shared object file')\n"


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """This Python, with the modules of a folder before all installed ones."""
    environment = support.environment()
    environment["PYTHONPATH"] = f"{folder}{os.pathsep}{environment['PYTHONPATH']}"
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=environment, capture_output=True, text=True
    )


def requirements() -> dict[str, str]:
    """setup.py's requirements: name -> versions."""
    lists: dict[str, list[str]] = {}
    for node in ast.parse((support.ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            constants = [item for item in node.value.elts if isinstance(item, ast.Constant)]
            lists[ast.unparse(node.targets[0])] = [str(item.value) for item in constants]
    found = lists["FAIRSEQ_REQUIRES"] + lists["REQUIRES"]
    return {re.split("[<>=]", text)[0]: text for text in found}


def test_transformers_models_are_imported_without_this_package(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "from transformers import BridgeTowerModel")
    assert done.returncode == 0, done.stderr


def test_all_that_fairseq_requires_is_required_here_but_for_torchaudio() -> None:
    theirs = [
        text for text in importlib.metadata.requires("fairseq-fixed") or [] if ";" not in text
    ]
    names = {re.split("[<>=]", text)[0] for text in theirs}
    assert names - requirements().keys() == {"torchaudio"}
    exact = {text for text in theirs if "==" in text}
    assert exact <= set(requirements().values())


def test_the_doctor_knows_every_requirement_and_its_version() -> None:
    for name, text in requirements().items():
        wanted = ".".join(map(str, installation.MINIMUM[name]))
        assert re.search(rf"[>=]={re.escape(wanted)}\b", text), text
    assert installation.MINIMUM.keys() == requirements().keys()


def test_fairseq_has_one_version() -> None:
    pins = (support.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert FAIRSEQ in pins


def test_a_torchaudio_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "torchaudio.py").write_text(BROKEN)
    done = run(tmp_path, "-m", "mt_fairseq.doctor")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL  torchaudio")]
    assert "libcudart.so.13" in line and line.endswith("python -m pip uninstall torchaudio")
    done = run(tmp_path, "-c", "import mt_fairseq.modules.hf")
    assert "UserError: transformers can't be imported" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "call", ["from mt_fairseq import ManagerTower", "from mt_fairseq.predict import *; entry()"]
)
def test_fairseq_is_not_installed(tmp_path: Path, call: str) -> None:
    """A wheel alone brings all but fairseq."""
    call = call.replace("entry", "cli_entry(lambda _: main(['x', '--image', 'x', '--text', 'x']))")
    done = run(tmp_path, "-c", f"import sys; sys.modules['fairseq'] = None; {call}")
    assert done.stderr.splitlines()[-1].endswith(f"fairseq is not installed: {INSTALL_FAIRSEQ}")
