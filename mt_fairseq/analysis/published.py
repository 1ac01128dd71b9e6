"""Published figures of parameters and FLOPs, typed in as they are printed."""

from __future__ import annotations

# ManagerTower, Table 6 (appendix C): parameters in millions and "FLOPs" in billions at 384x384
# pixels and 50 tokens, one VQA instance.
TABLE_6 = {
    "BridgeTower": ("326.58", "101.25"),
    "ManagerTower SAUE": ("326.77", "101.34"),
    "ManagerTower AAUE, own query": ("326.77", "101.35"),
    "ManagerTower AAUE": ("338.64", "105.52"),
}

# The same table: milliseconds of one VQA instance, mean and spread of 10,000 runs on a TITAN V.
TABLE_6_MILLISECONDS = {
    "BridgeTower": (39.43, 1.55),
    "ManagerTower SAUE": (41.12, 1.41),
    "ManagerTower AAUE, own query": (41.80, 1.05),
    "ManagerTower AAUE": (43.20, 1.37),
}

# The official code (github.com/LooperXX/ManagerTower, commit 86e2372737) at the same sizes without
# task heads: parameters, and fvcore's count in billions. Measured for this project's reference
# tensors (param_counts.json there).
REFERENCE_CODE = {
    "METER": (326_562_561, "99.379"),
    "METER, weighted layers": (327_743_745, "103.471"),
    "BridgeTower": (326_580_993, "101.254"),
    "ManagerTower SAUE": (326_769_945, "101.338"),
    "ManagerTower AAUE": (338_643_285, "105.520"),
}

# BridgeTower's talk, design I: parameters of all bridges by definition.
BRIDGE_TABLE = {
    "a": "18.4K", "b": "18.4K", "c": "26.0K", "d": "11.8M", "e": "11.8M",
    "f": "35.4M", "g": "23.6M", "h": "70.8M", "i": "11.8M",
}  # fmt: skip

# BridgeTower's talk, design II: parameters of L_Z cross-modal layers, in millions.
LAYER_TABLE = {
    2: "37.8", 3: "56.8", 4: "75.6", 5: "94.6", 6: "113.4", 8: "151.2", 10: "189.0", 12: "226.8",
}  # fmt: skip

# BridgeTower's talk, model variants, in millions: the totals 323 and 859 are sums of these.
PARTS_TABLE = {
    "base": {"text encoder": "124", "vision encoder": "86", "cross-modal encoder": "113"},
    "large": {"text encoder": "355", "vision encoder": "304", "cross-modal encoder": "200"},
}
