"""``python -m benchmarks.processes.bridgetower_peak ours|peer forward|step BATCH``.

Prints one line of JSON: peak memory in MiB of this process, which makes one model with random
weights and runs it once.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.bridgetowers import (
    IMAGE_SIZE,
    TOKENS,
    forward,
    forward_backward,
    given,
    peer_config,
)
from benchmarks.measure import memory
from mt_fairseq.modules import hf

MIB = 2**20


def main(side: str, what: str, batch: str) -> dict[str, float]:
    """What the module says."""
    model: Any
    if side == "ours":
        from mt_fairseq.analysis.flops import Inputs, build_random

        model = build_random("bridgetower_base", Inputs((IMAGE_SIZE, IMAGE_SIZE), TOKENS))
    else:
        model = hf.BridgeTowerModel(peer_config())
    {"forward": forward, "step": forward_backward}[what](model, given(int(batch)))()
    return {"MiB": memory("VmHWM") / MIB}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
