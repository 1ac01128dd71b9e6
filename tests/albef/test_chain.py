"""The demonstration's ALBEF chain and its ablation, on a tiny world with fairseq's commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from examples.albef import ablation
from examples.albef.grounding import MAPS, GroundingDemo
from examples.albef.run import TASKS, main, overview, pretraining
from examples.albef.tasks import AlbefDemo
from examples.demo import commands
from examples.demo.commands import COCO_WORLD, Places, Settings
from examples.demo.raw import RawFolders
from examples.demo.stages import Stage
from mt_fairseq.errors import UserError
from tests.demo.test_demo_tasks import run as run_other_stages
from tests.tasks import rank

SETTINGS = Settings(image_size=64, finetuning_updates=2, vocab_size=100)
SMALL_CHAIN = ("grounding", "albef_vqa")
FAST = ["--vision-layers", "1", "--text-layers", "2", "--fusion-layer", "1", "--queue-size", "32"]


def shortened(stage: Stage) -> list[str]:
    """A training's command with two updates of a smaller model."""
    command = list(stage.command)
    if command[0] == "fairseq-train":
        command[command.index("--max-update") + 1] = "2"
        command += FAST
    return [command[0].removeprefix("fairseq-"), *command[1:]]


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, AlbefDemo]:
    """Two tasks after pre-training and their stages."""
    places = Places(tmp_path_factory.mktemp("chain"))
    raw = RawFolders(places.raw / "vqav2", places.raw / "coco", places.raw / "coco")
    run_other_stages(
        [commands.world_stage("world", places.raw, COCO_WORLD),
         commands.caption_stage(places, raw, SETTINGS)]
    )  # fmt: skip
    found = {name: TASKS[name](places, SETTINGS, raw) for name in SMALL_CHAIN}
    stages = pretraining(places, 2)
    for demo in found.values():
        own = demo.stages()
        run_other_stages([stage for stage in own if not stage.command[0].startswith("fairseq-")])
        stages += [stage for stage in own if stage.command[0].startswith("fairseq-")]
    rank.run(places.out / "commands", {stage.name: shortened(stage) for stage in stages})
    return found


def test_tables_hold_what_was_generated(demos: dict[str, AlbefDemo]) -> None:
    for name, demo in demos.items():
        report = demo.report()
        grounding = isinstance(demo, GroundingDemo)
        for row, kind in zip(
            report.rows, MAPS if grounding else ("valid", "shuffled"), strict=False
        ):
            lines = (demo.places.results(name) / kind / "generate-valid.txt").read_text()
            score = re.search(r"ccuracy ([\d.]+) \(95% CI", lines.splitlines()[-1])
            assert score and row.score == pytest.approx(float(score[1]), abs=0.01), (name, kind)
        weakest = max(row.score for row in report.rows[len(MAPS) if grounding else 2 :])
        assert report.gain[0] == pytest.approx(report.rows[0].score - weakest)
        assert "ManagerTower" not in report.text()
        assert "points" in report.text()
    text = overview({name: demo.report() for name, demo in demos.items()})
    assert text.count("\n|") == 1 + len(demos)


def test_every_task_starts_from_a_pre_trained_model(tmp_path: Path) -> None:
    places = Places(tmp_path)
    raw = RawFolders(tmp_path, tmp_path, tmp_path)
    for name, kind in TASKS.items():
        stages = kind(places, SETTINGS, raw).stages()
        training = [stage for stage in stages if stage.command[0] == "fairseq-train"]
        assert [stage.name for stage in training] == [name]
        command = training[0].command
        start = command[command.index("--finetune-from-model") + 1]
        assert start.endswith("checkpoints/pretraining/checkpoint_last.pt")
        assert command[command.index("--max-update") + 1] == "2"


@pytest.mark.parametrize("script", [main, ablation.main])
def test_mistakes_come_before_any_work(script: object, tmp_path: Path) -> None:
    option = "--updates" if script is ablation.main else "--pretraining-updates"
    with pytest.raises(UserError, match=f"{option} 0: must be at least 1"):
        script([option, "0", "--out", str(tmp_path / "out")])  # type: ignore[operator]
    assert not (tmp_path / "out").exists()


def test_rows_of_the_ablation_differ_in_their_objectives_alone(tmp_path: Path) -> None:
    made = {
        row: ablation.train_stage(
            Places(tmp_path), row, tmp_path, 10, 3, tmp_path / "start.pt"
        ).command
        for row in ablation.ROWS
    }
    full = list(made["distill"])
    for row, (_, options) in ablation.ROWS.items():
        rest = list(made[row])
        if options:
            begin = rest.index(options[0])
            assert rest[begin : begin + len(options)] == list(options)
            del rest[begin : begin + len(options)]
        assert rest == full
    assert full[full.index("--seed") + 1] == "3" and full[full.index("--max-update") + 1] == "10"


def test_figures_of_the_ablation_are_read_from_the_logs() -> None:
    figures = (
        '{"epoch": 1, "valid_itm_accuracy": "71.5", "valid_itm_ranked": "80", '
        '"valid_mlm_accuracy": "3"}'
    )
    line = f"2026 | INFO | valid | {figures}"
    assert ablation.validated(f"x\n{line}\n") == {
        "valid_itm_accuracy": 71.5,
        "valid_itm_ranked": 80.0,
        "valid_mlm_accuracy": 3.0,
    }
    assert ablation.box_accuracy("beam=5: box accuracy 44.10 (95% CI 40.00-48.00) over 9") == 44.1
    for read in (ablation.validated, ablation.box_accuracy):
        with pytest.raises(UserError, match="reported no accuracy"):
            read("nothing")
    rows = [ablation.Figures("itc", 1, 71.5, 80.0, 3.0, None, 90.0)]
    assert "| + ITC      |    1 |        71.5 |      80.0 |" in ablation.text(rows, 10)


@pytest.mark.slow
def test_a_row_of_the_ablation(
    demos: dict[str, AlbefDemo], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = demos["grounding"].places
    arguments = ["--data", str(places.captions), "--boxes", str(places.data("grounding")),
                 "--out", str(tmp_path), "--rows", "mlm-itm", "--updates", "2",
                 "--encoder-updates", "2"]  # fmt: skip
    assert ablation.main(arguments) == 0
    row = json.loads((tmp_path / "results.json").read_text())["rows"][0]
    assert all(0 <= row[name] <= 100 for name in ("matching", "ranked", "masked_words", "boxes"))
    assert np.isfinite(row["seconds"])
    assert ablation.main(arguments) == 0
    assert capsys.readouterr().out.count("done before") == 4
