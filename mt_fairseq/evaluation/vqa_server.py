"""What the EvalAI server of VQA v2 takes."""

from __future__ import annotations

TEST_PART = "testdev"
"""The split that is a part of ``test`` and is no submission by itself."""

WHOLE_TEST = (
    "the server takes answers to every question of the whole test set and gives test-dev and "
    "test-std from that one file: name --split test"
)
