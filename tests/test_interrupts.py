"""Ctrl-C where Python drops it (tests of preprocessing interrupt a run at work)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
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
    start = time.monotonic()
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
    assert time.monotonic() - start < 50, "slept to the end"


def test_other_faults_of_a_destructor_are_still_told(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(
        PROGRAM.replace("signal.raise_signal(signal.SIGINT)", "1 / 0").replace("60", "0")
    )
    run = subprocess.run([sys.executable, str(file)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0
    assert "Exception ignored" in run.stderr and "ZeroDivisionError" in run.stderr
