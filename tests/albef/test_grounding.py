"""Visual grounding by command, its baselines, pictures and errors; and the task before NLVR2."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.demo.world.write import WorldConfig, write_world
from mt_fairseq import Albef
from mt_fairseq.analysis.__main__ import main as analysis
from mt_fairseq.analysis.grounding import choose, ground
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.grounding_dataset import Boxes
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.boxes import best_box, box_scores, overlap
from mt_fairseq.evaluation.grounding import BoxAccuracyScorer, middle_proposal
from mt_fairseq.evaluation.intervals import wilson_interval
from mt_fairseq.evaluation.task_scorer import Answered
from mt_fairseq.models.grounding import map_layer
from preprocess.__main__ import main as preprocess
from tests.albef import small
from tests.albef.test_pretraining import OPTIONS as PRETRAINING
from tests.support import logged
from tests.tasks.rank import run

MODEL = [*PRETRAINING[4:], "--batch-size", 6, "--queue-size", 12, "--max-update", 4]
SPLIT = "valid"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "raw"
    config = WorldConfig(seed=5, train=24, held_out=12, datasets=("refcoco",))
    write_world(folder, config, lambda *_: None)
    return folder


def build_bin(raw: Path, dest: Path, *options: str) -> Path:
    preprocess(
        ["refcoco", "--raw", str(raw / "refcoco"), "--image-root", str(raw / "coco"), "--dest",
         str(dest), "--vocab-size", "60", "--resize", "32", "--workers", "1", *options]
    )  # fmt: skip
    return dest


@pytest.fixture(scope="module")
def data(raw: Path) -> Path:
    return build_bin(raw, raw.parent / "bin")


def generate(data: Path, checkpoint: Path, *options: object) -> list[object]:
    return [
        "generate", data, "--task", "grounding", "--path", checkpoint, "--gen-subset", SPLIT,
        "--scoring", "box_accuracy", "--batch-size", 5, "--num-workers", 0,
        "--required-batch-size-multiple", 1, "--nbest", 2, "--beam", 2, *options,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def outputs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The checkpoint of a retrieval training on the expressions, and what was printed.

    Then the task before NLVR2 from the same checkpoint, and NLVR2's doubled layers from that.
    """
    folder = tmp_path_factory.mktemp("grounding")
    checkpoint = folder / "retrieval" / "checkpoint_last.pt"
    training = ["train", data, "--task", "retrieval", "--criterion", "albef_retrieval", *MODEL]
    pairs = ["train", data, "--task", "albef_pairs", "--criterion", "albef_pairs", *MODEL]
    return checkpoint, run(
        folder,
        {
            "train": [*training, "--save-dir", checkpoint.parent],
            "itm": generate(data, checkpoint),
            "itc": generate(data, checkpoint, "--grounding-mode", "itc", "--grounding-layer", 1),
            "pairs": [
                *pairs, "--save-dir", folder / "pairs", "--finetune-from-model", checkpoint,
            ],
            "validate": [
                "validate", data, "--task", "albef_pairs", "--criterion", "albef_pairs", "--path",
                folder / "pairs" / "checkpoint_last.pt", "--valid-subset", SPLIT,
                "--batch-size", 100, "--num-workers", 0,
            ],
        },
    )  # fmt: skip


def boxes_of(output: str) -> dict[int, list[list[float]]]:
    """Proposed boxes of each expression, best first."""
    found: dict[int, list[list[float]]] = {}
    for number, text in re.findall(r"^H-(\d+)\t[^\t]*\t(.*)$", output, re.MULTILINE):
        found.setdefault(int(number), []).append([float(x) for x in text.split()])
    return found


def test_boxes_are_proposals_ranked_by_heat(outputs: tuple[Path, dict], data: Path) -> None:
    """Asked one by one through the picture's command, the same box comes first."""
    boxes, found = Boxes(DataBin(data), SPLIT), boxes_of(outputs[1]["itm"])
    assert sorted(found) == list(range(len(boxes)))
    hub = Albef.from_pretrained(outputs[0])
    for row in (0, 3):
        proposals = boxes.proposals(row).tolist()
        assert found[row][0] in proposals and found[row][1] in proposals
        picture = DataBin(data).images.image(int(boxes.split.images(row)[0]))
        path = outputs[0].parent / f"{row}.png"
        picture.save(path)
        text = DataBin(data).dictionary.string(boxes.split.text(row))
        heat = torch.from_numpy(ground(hub, path, text).whole)
        height, width = boxes.size(row)
        assert (
            proposals[int(np.argmax(box_scores(heat, proposals, width, height)))] == found[row][0]
        )


@pytest.mark.parametrize("mode", ["itm", "itc"])
def test_accuracy_beside_its_baselines(mode: str, outputs: tuple[Path, dict], data: Path) -> None:
    boxes, output = Boxes(DataBin(data), SPLIT), outputs[1][mode]
    rows = range(len(boxes))
    right = [np.array([overlap(b, boxes.own(r)) >= 0.5 for b in boxes.proposals(r)]) for r in rows]
    hits = [overlap(boxes_of(output)[r][0], boxes.own(r)) >= 0.5 for r in rows]
    middle = [right[r][middle_proposal(boxes.proposals(r), *boxes.size(r))] for r in rows]
    line = re.search(
        r"box accuracy ([\d.]+) \(95% CI ([\d.]+)-([\d.]+)\) over (\d+) expressions \| centre box "
        r"([\d.]+) .* \| random proposal ([\d.]+) .* \| best proposal ([\d.]+)",
        output,
    )
    assert line is not None
    accuracy, low, high, count, *baselines = (float(x) for x in line.groups())
    assert count == len(boxes)
    random = np.mean([r.mean() for r in right])
    expected = [100 * np.mean(hits), 100 * np.mean(middle), 100 * random, 100.0]
    assert [accuracy, *baselines] == pytest.approx(expected, abs=0.01)
    assert low <= 100 * wilson_interval(accuracy / 100, len(boxes))[0] + 0.01  # pictures repeat
    assert low <= accuracy <= high
    targets = re.findall(r"^T-(\d+)\t(.*)$", output, re.MULTILINE)
    assert all([float(x) for x in text.split()] == boxes.own(int(row)) for row, text in targets)


def test_scorer_keeps_what_was_chosen(data: Path) -> None:
    data_bin = DataBin(data)
    answers = BoxAccuracyScorer.collection(data_bin, SPLIT)
    boxes = answers.boxes
    for row in range(len(boxes)):
        best = int(np.argmax([overlap(box, boxes.own(row)) for box in boxes.proposals(row)]))
        answers.load({"row": row, "proposals": [best], "scores": [0.5]})
    scorer = BoxAccuracyScorer(None)  # type: ignore[arg-type]
    scorer.take(Answered("grounding", answers))
    assert scorer.missing() == [] and scorer.score() == 100
    record = scorer.records()[0]
    assert record["credit"] == 1 and record["reference"] == boxes.own(0)
    assert record["image"].startswith("train2014/") and record["iou"] >= 0.5
    assert next(iter(answers.dump()))["scores"] == [0.5]


def test_picture(outputs: tuple[Path, dict], raw: Path, tmp_path: Path, capsys: object) -> None:
    image = next((raw / "coco" / "train2014").iterdir())
    boxes = ["--box", "2,3,20,20", "--box", "30,30,25,25"]
    command = ["grounding", str(outputs[0]), "--image", str(image), "--text", "white object"]
    assert analysis([*command, "--out", str(tmp_path / "out"), *boxes]) == 0
    printed = capsys.readouterr().out  # type: ignore[attr-defined]
    found = ground(Albef.from_pretrained(outputs[0]), image, "white object")
    best = choose(found, [[2, 3, 20, 20], [30, 30, 25, 25]])
    assert best is not None and f"box {boxes[2 * best + 1]}" in printed
    assert (tmp_path / "out" / "grounding.png").stat().st_size > 5000
    lines = (tmp_path / "out" / "grounding.csv").read_text().splitlines()
    assert len(lines) == 1 + found.whole.size * (1 + len(found.words))
    with pytest.raises(UserError, match=r"70, 3, 5 x 5 lies outside the image of 64 x 64"):
        choose(found, [[70, 3, 5, 5]])
    with pytest.raises(UserError, match="--box 1,2,3: write X,Y,WIDTH,HEIGHT"):
        analysis([*command, "--out", str(tmp_path / "new"), "--box", "1,2,3"])


def test_layers() -> None:
    model = small.build({"itc": 0, "itm": 2})
    assert (map_layer(model, "itm", None), map_layer(model, "itc", None)) == (1, 1)
    with pytest.raises(UserError, match="--grounding-layer 3: this model has 2 fusion layers"):
        map_layer(model, "itm", 3)
    with pytest.raises(UserError, match="this checkpoint has no head itm"):
        map_layer(small.build({"itc": 0}), "itm", None)


def test_proposals_outside_their_picture(raw: Path, data: Path, tmp_path: Path) -> None:
    """One line from preprocessing; from a data-bin that was written otherwise, one too."""
    outside = json.loads((raw / "refcoco" / "dets.json").read_text())
    outside = {image: [[70, 3, 5, 5], *boxes] for image, boxes in outside.items()}
    (tmp_path / "dets.json").write_text(json.dumps(outside))
    with pytest.raises(UserError, match=r"proposal 0 in dets\.json .* reaches out of the picture"):
        build_bin(raw, tmp_path / "bin", "--proposals", str(tmp_path / "dets.json"))
    boxes = Boxes(DataBin(data), SPLIT)
    boxes.proposals = lambda index: np.array([[1.0, 2, 3, 4], [70, 3, 5, 5]])  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"proposed box 70 3 5 5 lies outside its image of 64 x"):
        boxes._check(DataBin(data), SPLIT)


def test_no_heat_above_zero() -> None:
    """The reference keeps the previous expression's box then; ours is the best all the same."""
    assert best_box([-2.0, -1.0, -1.0]) == 1 and best_box([0.0, 0.0]) == 0


def test_data_without_proposals(raw: Path, caption_bin: Path) -> None:
    with pytest.raises(UserError, match="split valid has no column 'image_size'"):
        Boxes(DataBin(caption_bin), SPLIT)
    refs = pickle.loads((raw / "refcoco" / "refs(unc).p").read_bytes())
    assert refs  # the world that the others are tested on is not empty


def test_pairs_train_and_validate(outputs: tuple[Path, dict]) -> None:
    """Doubled layers, no momentum model; projections stay as they were, the new head learns."""
    output = outputs[1]["pairs"]
    assert "fusion layers doubled" in output and "new: pairs head" in output
    records = logged(output, "train_inner")
    assert len(records) == 4 and {"loss", "accuracy"} <= set(records[0])
    before = torch.load(outputs[0], weights_only=False)["model"]
    path = outputs[0].parents[1] / "pairs" / "checkpoint_last.pt"
    after = torch.load(path, weights_only=False)["model"]
    assert not any(name.startswith(("twin.", "queue.")) for name in after)
    for name in (name for name in after if name.startswith("heads.itc.")):
        assert torch.equal(before[name], after[name]), name
    partners = [name for name in after if ".partners." in name]
    assert partners and not torch.equal(
        after[partners[0]], before[partners[0].replace("partners", "layers")]
    )
    assert re.search(r"valid on 'valid' subset \| loss [\d.]+ \| accuracy", outputs[1]["validate"])
