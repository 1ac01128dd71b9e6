"""Ctrl-C where Python drops it; preprocessing's own tests interrupt a run at work."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

PROGRAM = """
import signal, sys, time
from mt_fairseq.errors import cli_entry

class Thing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def main(argv):
    Thing()
    time.sleep(60)

sys.exit(cli_entry(main)())
"""


def test_an_interrupt_in_a_destructor_ends_the_command(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        # tests that a shell runs in the background have inherited "ignore Ctrl-C" from it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (run.returncode, run.stderr) == (130, "interrupted\n")


def test_other_faults_of_a_destructor_are_still_told(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(
        PROGRAM.replace("signal.raise_signal(signal.SIGINT)", "1 / 0").replace("60", "0")
    )
    run = subprocess.run([sys.executable, str(file)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0
    assert "Exception ignored" in run.stderr and "ZeroDivisionError" in run.stderr
