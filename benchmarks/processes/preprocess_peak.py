"""``python -m benchmarks.processes.preprocess_peak ARGS``: ``python -m preprocess ARGS``, measured.

Prints one line of JSON: the peak memory of this process and of the largest that it started, both in
MiB, and the seconds it took.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from benchmarks.measure import peak_memory
from preprocess.__main__ import main

if __name__ == "__main__":
    start = time.perf_counter()
    code = main(sys.argv[1:])
    seconds = time.perf_counter() - start
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    print(json.dumps({"peak": peak_memory() / 2**20, "child": child, "seconds": seconds}))
    raise SystemExit(code)
