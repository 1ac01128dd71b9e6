"""Options that no model can have, at fairseq's own commands: one line, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import ROOT, fairseq, train

VQA = ["--task", "vqa", "--criterion", "vqa", "--max-update", 1, "--warmup-updates", 0]

LINES = [
    (["--num-managed-layers", 9], "9 managed layers, but the text encoder has 4 layers"),
    (["--bridge-type", "b"], "unrecognized arguments: --bridge-type b"),
    (
        ["--arch", "bridgetower_tiny", "--num-cross-modal-layers", 5],
        "5 cross-modal layers with a bridge, but an encoder has 4 layers",
    ),
    (["--max-text-len", 129], "--max-text-len 129, but the text encoder holds texts of 128"),
    (["--cross-modal-heads", 5], "--hidden-size 128 is no multiple of --cross-modal-heads 5"),
]


def only_error(stderr: str) -> str:
    """The one line about the mistake."""
    assert "Traceback" not in stderr and "usage:" not in stderr, stderr
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, stderr
    assert stderr.rstrip().endswith(lines[0]), stderr
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "words"), LINES, ids=lambda value: str(value)[:30])
def test_on_the_command_line(options: list, words: str, vqa_bin: Path, tmp_path: Path) -> None:
    done = train(vqa_bin, tmp_path / "save", *VQA, *options, check=False)
    assert done.returncode
    assert words in only_error(done.stderr)
    assert "begin training" not in done.stdout
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+model.bridge_type=b", "managertower_tiny has no option bridge_type"),
        ("+model.num_managed_layers=9", "9 managed layers"),
        ("++checkpoint.restore_file=gone.pt", "--restore-file gone.pt: no such file"),
    ],
)
def test_under_hydra(override: str, words: str, vqa_bin: Path, tmp_path: Path) -> None:
    done = fairseq(
        "hydra_train", "--config-dir", ROOT / "examples" / "vqa" / "config", "--config-name",
        "managertower_tiny", f"task.data={vqa_bin}", "task.image_size=32",
        f"checkpoint.save_dir={tmp_path}/save", f"hydra.run.dir={tmp_path}/hydra",
        f"common.tensorboard_logdir={tmp_path}/tb", override, check=False,
    )  # fmt: skip
    assert done.returncode
    assert words in only_error(done.stderr)
