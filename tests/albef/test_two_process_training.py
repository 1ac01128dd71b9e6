"""fairseq-train in two processes: resuming with queues, and the momentum model of fine-tuning."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.albef.test_answers import OPTIONS as ANSWERS
from tests.albef.test_pretraining import OPTIONS
from tests.support import logged
from tests.tasks.rank import run

QUIET = ["--dropout", 0, "--attention-dropout", 0, "--encoder-dropout", 0]


def state(folder: Path, name: str = "checkpoint_last.pt") -> dict[str, torch.Tensor]:
    return torch.load(folder / name, weights_only=False)["model"]


def test_resumed_equals_uninterrupted(caption_bin: Path, tmp_path: Path) -> None:
    """20 samples in batches of 3 and 3: one process has no data in the last step of an epoch.

    The second run starts in the middle of the second epoch; validation changes nothing.
    """
    options = [
        "train", caption_bin, *(o for o in OPTIONS if o != "--disable-validation"),
        "--batch-size", 3, "--queue-size", 12, "--max-update", 7, "--save-interval-updates", 5,
        "--valid-subset", "valid",
    ]  # fmt: skip
    printed = run(tmp_path, {"whole": [*options, "--save-dir", tmp_path / "whole"]}, world=2)
    valid = logged(printed["whole"], "valid")
    assert valid and all(float(record["valid_itc_loss"]) > 0 for record in valid)
    middle = next((tmp_path / "whole").glob("checkpoint_*_5.pt"))
    again = [*options, "--save-dir", tmp_path / "again", "--restore-file", middle]
    run(tmp_path, {"again": again}, world=2)
    whole, resumed = state(tmp_path / "whole"), state(tmp_path / "again")
    assert {name.split(".")[0] for name in whole} == {"network", "heads", "twin", "queue"}
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    # an epoch of 20, then three updates of 6, or of 5 where the short batch is among them
    assert int(whole["queue.pointer"]) in (38 % 12, 37 % 12)


def test_two_processes_equal_accumulation(vqa_bin: Path, tmp_path: Path) -> None:
    """Fine-tuning on answers: the same update, and one step of the momentum model an update."""
    options = ["train", vqa_bin, *ANSWERS, *QUIET, "--batch-size", 2, "--max-update", 4]
    one = ["--update-freq", 2, "--save-dir", tmp_path / "one"]
    run(tmp_path, {"one": [*options, *one]})
    run(tmp_path, {"two": [*options, "--save-dir", tmp_path / "two"]}, world=2)
    expected, found = state(tmp_path / "one"), state(tmp_path / "two")
    assert any(name.startswith("twin.") for name in expected)
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=0, atol=1e-6), name
