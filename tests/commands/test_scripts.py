"""Every console script that setup.py promises runs its command."""

import importlib
import re
import runpy
import sys
from typing import Any

import pytest

from tests.support import ROOT


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name -> "module:function", as setup.py hands them to setuptools."""
    given: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", given.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    return dict(re.split(" = ", line) for line in given["entry_points"]["console_scripts"])


@pytest.mark.parametrize(
    "name", ["evaluate", "predict", "plan", "doctor", "convert", "analysis", "demo"]
)
def test_a_script_runs_the_command_of_its_name(
    name: str,
    scripts: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module, function = scripts[f"mt-{name}"].split(":")
    monkeypatch.setattr(sys, "argv", [f"mt-{name}", "--help"])
    with pytest.raises(SystemExit) as stop:
        getattr(importlib.import_module(module), function)()
    assert not stop.value.code
    assert f"usage: python -m mt_fairseq.{name}" in capsys.readouterr().out


def test_a_mistake_is_one_line(
    scripts: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, function = scripts["mt-plan"].split(":")
    monkeypatch.setattr(sys, "argv", ["mt-plan", "vqa", "--gpus", "0"])
    assert getattr(importlib.import_module(module), function)() == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
