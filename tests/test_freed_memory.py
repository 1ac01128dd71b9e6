"""Freed memory that stays with the process, seen by the pages that the system hands out."""

import ctypes
import subprocess
import sys

import pytest

PAGES = """
import resource, sys
from mt_fairseq.freed_memory import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(2**26)  # written once, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no C library of GNU's")
def test_the_system_hands_out_no_page_twice() -> None:
    pages = {
        how: int(subprocess.check_output([sys.executable, "-c", PAGES, how], text=True))
        for how in ("given back", "kept")
    }
    assert pages["kept"] < 100
    assert pages["given back"] > 10 * pages["kept"] + 10
