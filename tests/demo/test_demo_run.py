"""The run itself: stages that are skipped, repeated and resumed, and one small run in full."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo.commands import Places, Settings
from examples.demo.progress import TrainingProgress, bars
from examples.demo.raw import RawFolders
from examples.demo.run import DEMOS, main
from examples.demo.stages import ROOT, Runner, Stage, clock
from mt_fairseq.errors import UserError


def append_stage(name: str, target: Path, text: str, **options: object) -> Stage:
    """A stage that appends to a file, so that the file tells how often it ran."""
    code = f"open({str(target)!r}, 'a').write({text!r})"
    return Stage(name, name, ["python", "-c", code], **options)  # type: ignore[arg-type]


def test_done_stages_are_skipped_and_a_change_repeats_the_rest(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def run(text: str) -> tuple[str, str]:
        runner = Runner(tmp_path / "out")
        runner.run(append_stage("one", first, text, makes=[first]))
        runner.run(append_stage("two", second, "x"))
        return first.read_text(), second.read_text()

    assert run("a") == ("a", "x")
    assert run("a") == ("a", "x"), "nothing has changed"
    assert run("b") == ("b", "xx"), "outputs of a changed command go, later stages run again"


def test_stopped_training_goes_on_and_other_stages_start_over(tmp_path: Path) -> None:
    made = tmp_path / "made"
    code = f"p = open({str(made)!r}, 'a'); p.write('x'); p.close(); import sys; sys.exit(3)"
    for resumes, left in ((True, "xx"), (False, "x")):
        stage = Stage("train", "train", ["python", "-c", code], makes=[made], resumes=resumes)
        made.unlink(missing_ok=True)
        for _ in range(2):
            with pytest.raises(UserError, match="exit code 3"):
                Runner(tmp_path / f"out{resumes}").run(stage)
        assert made.read_text() == left


def test_failure_is_one_line_with_its_reason(tmp_path: Path) -> None:
    command = ["python", "-m", "preprocess", "coco", "--raw", str(tmp_path), "--dest", "x"]
    with pytest.raises(UserError) as error:
        Runner(tmp_path / "out").run(Stage("captions", "Captions", command))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("Captions failed: ") and str(tmp_path) in str(error.value)


def test_progress_of_training_and_of_bars() -> None:
    progress = TrainingProgress(200)
    line = 'x | train_inner | {{"epoch": 1, "loss": "2.5", "vqa_score": "40", "num_updates": "{}"}}'
    assert progress("model built") is None
    assert progress(line.format(50)) == "update 50/200  loss 2.50  VQA score 40.0 %"
    assert "left" in str(progress(line.format(100)))
    held_out = 'valid | {"epoch": 1, "valid_loss": "1.5", "valid_vqa_score": "61.2"}'
    assert progress(held_out) == "held-out images: loss 1.50  VQA score 61.2 %"
    show = bars(every=1000)
    assert show("images:  10%|#     | 1/10\r") == "images:  10% 1/10"
    assert show("images:  20%|##    | 2/10\r") is None
    assert show("images: 100%|######| 10/10\r") == "images: 100% 10/10"
    assert show("done\n") == "done"
    assert clock(125.9) == "2:05"


def test_mistakes_come_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        main(["--raw", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match="--finetuning-updates 0"):
        main(["--finetuning-updates", "0", "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match=r"goes with --task vqa; .* examples/nlvr2/README"):
        main(["--task", "nlvr2", "--raw", str(tmp_path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="other things"):
        main(["--fresh", "--out", str(tmp_path)])
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.slow
def test_whole_run_on_a_folder_of_ones_own(world: Path, tmp_path: Path) -> None:
    """Every stage with fairseq's own commands; a second call finds everything done."""
    out = tmp_path / "out"
    command = [
        sys.executable, str(ROOT / "examples" / "demo" / "run.py"),
        "--raw", str(world), "--out", str(out), "--vocab-size", "200", "--image-size", "32",
        "--batch-size", "16", "--pretraining-updates", "2", "--finetuning-updates", "2",
        "--seed", "7",
    ]  # fmt: skip
    texts = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        texts.append(done.stdout)
    stages = ["captions", "pretraining", "vqa-data", "vqa", "vqa-valid", "vqa-shuffle"]
    stages.append("vqa-shuffled")
    folder = out / "results" / "vqa"
    results = json.loads((folder / "results.json").read_text())
    assert list(results["seconds"]) == stages
    assert len(results["rows"]) == 4 and results["samples"] == 16 * 6
    table = (folder / "table.md").read_text()
    assert table in texts[0] and table in texts[1]
    assert texts[1].count("done before") == len(stages)
    assert texts[0].count(" --seed 7 ") == 2, "both trainings"
    assert texts[0].count("$ fairseq-train") == 2 and texts[0].count("$ fairseq-generate") == 2
    for name in ("pretraining", "vqa"):
        assert any((out / "tensorboard" / name).rglob("events.out.tfevents*"))
    last = (folder / "valid" / "generate-valid.txt").read_text().splitlines()[-1]
    printed = re.search(r"accuracy\D+([\d.]+)", last, re.IGNORECASE)
    assert printed and abs(float(printed[1]) - results["rows"][0]["score"]) < 0.01, last


def test_tasks_share_the_world_and_pretraining(tmp_path: Path) -> None:
    """What each task runs after them; the raw files that they read are those that it writes."""
    places, settings = Places(tmp_path), Settings()
    raw = RawFolders(tmp_path / "raw/vqav2", tmp_path / "raw/coco", tmp_path / "raw/coco")
    for name, kind in DEMOS.items():
        stages = {stage.name: list(stage.command) for stage in kind(places, settings, raw).stages()}
        first = [] if name == "vqa" else [f"{name}-world"]
        later = [f"{name}-data", name, f"{name}-valid", f"{name}-shuffle", f"{name}-shuffled"]
        assert list(stages) == first + later
        tuning = stages[name]
        assert tuning[tuning.index("--task") + 1] == name
        checkpoint = tuning[tuning.index("--finetune-from-model") + 1]
        assert checkpoint == str(tmp_path / "checkpoints/pretraining/checkpoint_last.pt")
        data = stages[f"{name}-data"]
        assert data[data.index("--tokenizer") + 1] == str(tmp_path / "data-bin/coco")
        if first:
            world = stages[f"{name}-world"]
            raw_of = data[data.index("--raw") + 1]
            assert raw_of.startswith(world[world.index("--out") + 1])
