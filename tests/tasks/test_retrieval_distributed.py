"""Two CPU processes do what one does on the joined batch: losses, negatives, updates, metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests import support
from tests.support import TINY, logged
from tests.tasks.rank import run
from tests.tasks.test_distributed import QUIET

COLOURS = list(support.COLOURS)
# three batches of 2 for two processes: one is without data in the last step
SIZES = {"train": 10, "valid": 6, "short": 7}
COMMANDS = {
    "retrieval": ["--task", "retrieval", "--criterion", "itc_itm", "--global-negatives"],
    "pretraining": ["--task", "vlp_mlm_itm", "--criterion", "mlm_itm", "--itc",
                    "--itm-negatives", "hard", "--global-negatives"],
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captions of different lengths, two of each picture."""
    folder = tmp_path_factory.mktemp("captions")
    for split, size in SIZES.items():
        lines = []
        for index in range(size):
            colour = COLOURS[index // 2 % 3]
            name = f"images/{split}-{index // 2}.png"
            support.draw_square(folder / name, colour, index // 2)
            text = f"a {colour} square" + " on noisy ground" * (index % 3)
            lines.append(json.dumps({"image": name, "text": text}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    support.python("-m", "preprocess", "jsonl", "--raw", folder, "--dest", folder / "bin",
                   "--tokenizer", "sentencepiece", "--vocab-size", 40)  # fmt: skip
    return folder / "bin"


def commands(data: Path, folder: Path, batch_size: int) -> dict[str, list[object]]:
    """One epoch of each task with its validations, then fairseq-validate."""
    common = ["--batch-size", batch_size, "--required-batch-size-multiple", 1]
    common += ["--num-workers", 0, "--log-format", "json"]
    training = [
        "train", data, *TINY, *QUIET, "--optimizer", "sgd", "--lr", 0.1, "--max-update", 3,
        "--warmup-updates", 0, "--curriculum", 9, "--log-interval", 1, "--max-text-len", 20,
        "--no-epoch-checkpoints", "--valid-subset", "valid,short", *common,
    ]  # fmt: skip
    listed: dict[str, list[object]] = {
        name: [*training, "--save-dir", folder / name, *options]
        for name, options in COMMANDS.items()
    }
    checkpoint = folder / "retrieval" / "checkpoint_last.pt"
    listed["validate"] = ["validate", data, "--path", checkpoint, "--task", "retrieval",
                          "--valid-subset", "valid", *common]  # fmt: skip
    return listed


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, str]]:
    """Output of each command and the folder of its checkpoints, by one process and by two."""
    found = {}
    for world in (1, 2):
        folder = tmp_path_factory.mktemp(f"by-{world}")
        found[world] = run(folder, commands(data, folder, 4 // world), world)
        found[world]["folder"] = str(folder)
    return found


def numbers(record: dict, prefix: str) -> dict[str, float]:
    """The losses and shares of a log record, without counts and times."""
    kept = ("loss", "accuracy", "r1", "gnorm")
    return {k: float(v) for k, v in record.items() if k.startswith(prefix) and k.endswith(kept)}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_update_is_that_of_the_joined_batch(runs: dict, name: str) -> None:
    one, two = (logged(runs[which][name], "train_inner") for which in (1, 2))
    assert len(one) == len(two) == 3
    for alone, joined in zip(one, two, strict=True):
        assert numbers(joined, "") == pytest.approx(numbers(alone, ""), abs=2e-3)
    states = [
        torch.load(f"{runs[which]['folder']}/{name}/checkpoint_last.pt", weights_only=False)
        for which in (1, 2)
    ]
    start, moved = states[0]["model"], 0.0
    for key, value in start.items():
        assert torch.allclose(value, states[1]["model"][key], rtol=0, atol=2e-6), key
        moved = max(moved, value.abs().max().item())
    assert moved > 0.1


@pytest.mark.parametrize("name", COMMANDS)
def test_validation_is_that_of_the_joined_batch(runs: dict, name: str) -> None:
    """Also where the last batch is shorter, and where one process has none."""
    for split in ("valid", "short"):
        one, two = (logged(runs[which][name], split)[-1] for which in (1, 2))
        first, second = numbers(one, split), numbers(two, split)
        assert len(first) >= 6
        assert second == pytest.approx(first, abs=2e-3)


def test_fairseq_validate_with_a_process_without_data(runs: dict) -> None:
    one, two = (logged(runs[which]["validate"], "valid")[-1] for which in (1, 2))
    assert int(one["valid_nsentences"]) == int(two["valid_nsentences"]) == SIZES["valid"]
    assert numbers(two, "valid") == pytest.approx(numbers(one, "valid"), abs=2e-3)
    trained = logged(runs[1]["retrieval"], "valid")[-1]
    assert numbers(one, "valid") == pytest.approx(numbers(trained, "valid"), abs=2e-3)
