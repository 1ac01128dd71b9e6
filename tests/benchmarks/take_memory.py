"""``python -m tests.benchmarks.take_memory MIB``: take that much for a moment, print the peak."""

import json
import sys

from benchmarks.measure import peak_memory

MIB = 2**20

size = int(sys.argv[1]) * MIB
before = peak_memory()
block = bytearray(b"\1") * size
del block
print(json.dumps({"before": before / MIB, "peak": peak_memory() / MIB}))
