"""Each task's own stages on a tiny world, with fairseq's commands, and the table they end in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from examples.demo.commands import Places, Settings
from examples.demo.demo import Demo
from examples.demo.raw import RawFolders
from examples.demo.retrieval import at_random, rankings
from examples.demo.run import DEMOS
from examples.demo.shuffle_images import main as shuffle
from examples.demo.stages import Stage
from examples.demo.world.write import WorldConfig, write_world
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.evaluation.retrieval_items import RetrievalItems
from preprocess.__main__ import main as preprocess
from tests.tasks import rank

SMALL = WorldConfig(seed=3, train=30, held_out=12)
SETTINGS = Settings(image_size=32, batch_size=8, finetuning_updates=2, vocab_size=100)
OWN_WORLD = [name for name in DEMOS if name != "vqa"]


def run(stages: list[Stage]) -> dict[str, Path]:
    """All stages but fairseq's in this process; fairseq's, which are yet to run, by name."""
    later = {}
    for stage in stages:
        program, *arguments = stage.command
        if program.startswith("fairseq-"):
            later[stage.name] = [program.removeprefix("fairseq-"), *arguments]
        elif "preprocess" in arguments:
            preprocess(arguments[2:])
        elif "examples.demo.shuffle_images" in arguments:
            shuffle(arguments[2:])
        else:
            datasets = arguments[arguments.index("--datasets") + 1 :]
            dest = Path(arguments[arguments.index("--out") + 1])
            write_world(dest, replace(SMALL, datasets=tuple(datasets)), lambda *_: None)
    return later


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Demo]:
    """Each task after its stages."""
    out = tmp_path_factory.mktemp("tasks")
    raw = RawFolders(out, out, captions=None)  # without them there is no pre-training
    found = {name: DEMOS[name](Places(out), SETTINGS, raw) for name in OWN_WORLD}
    commands = {}
    for demo in found.values():
        commands.update(run(demo.stages()))
    rank.run(out / "commands", commands)
    return found


@pytest.mark.parametrize("name", OWN_WORLD)
def test_the_table_holds_what_was_generated(name: str, demos: dict[str, Demo]) -> None:
    report = demos[name].report()
    own, shuffled = report.rows[:2]
    for row, pictures in ((own, "valid"), (shuffled, "shuffled")):
        last = demos[name].places.answers(name, pictures).read_text().splitlines()[-1]
        score = re.search(r"(?:accuracy|mean) ([\d.]+) \(95% CI", last)
        assert score and row.score == pytest.approx(float(score[1]), abs=0.01)
        assert row.low <= row.score <= row.high
    weakest = max(row.score for row in report.rows[2:])
    for row, gain in ((own, report.gain), (shuffled, report.shuffled_gain)):
        assert gain[0] == pytest.approx(row.score - weakest)
        assert gain[1] <= gain[0] <= gain[2]
    assert not report.passed or report.gain[1] >= 10
    assert report.text().count("\n|") == len(report.rows) + 1


def test_random_ranking_is_what_random_orders_reach(demos: dict[str, Demo]) -> None:
    places = demos["retrieval"].places
    items = RetrievalItems(DataBin(places.data("retrieval")), "valid")
    rng = np.random.default_rng(1)
    for query, gallery in ((0, len(items.images)), (items.texts, items.texts)):
        first = [
            rng.permutation(gallery)[: len(items.right(query))].min() for _ in range(4000)
        ]  # places of the right items
        drawn = [np.mean(np.asarray(first) < k) for k in (1, 5, 10)]
        assert at_random(items, query) == pytest.approx(drawn, abs=0.03)


def test_rankings_keep_the_order_of_the_lines() -> None:
    lines = ["S-0\tx", "H-0\t-0.1\tb c.jpg", "H-0\t-0.2\ta", "D-0\t-0.1\tb", "H-10\t1e-3\t7\n"]
    assert rankings(lines) == {0: ["b c.jpg", "a"], 10: ["7"]}
