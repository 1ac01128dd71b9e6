"""Memory of ranking does not grow with the gallery beyond what features and lists take."""

from __future__ import annotations

import json

import pytest

from tests import support

MB = 1e6
SMALL, LARGE = 500, 5000


@pytest.fixture(scope="module")
def peaks() -> dict[str, float]:
    """Peak memory in MB of a process that ranked each gallery, one after the other."""
    done = support.python("-m", "tests.evaluation.rank_galleries", SMALL, LARGE)
    return json.loads(done.stdout.splitlines()[-1])


def test_memory_is_flat_beyond_the_cache(peaks: dict[str, float]) -> None:
    states = peaks["bytes an image"] * LARGE / MB
    assert states > 50  # what must not be kept
    assert peaks["large"] - peaks["small"] < states / 2  # features, lists and the allocator's slack


def test_the_measure_sees_a_gallery_that_is_kept(peaks: dict[str, float]) -> None:
    states = peaks["bytes an image"] * LARGE / MB
    assert peaks["large, all kept"] - peaks["large"] > 0.8 * states
