"""fairseq-generate itself, with labels that are awkward for a tool made for translation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt_fairseq import evaluate, predict
from mt_fairseq.demo.application import Application
from mt_fairseq.models.hub import HubInterface
from tests import support

ANSWERS = ["New York", "the", "two"]  # two words; normalises to nothing; to a number


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data-bin whose classes are "new york", "" and "2", and a checkpoint on it."""
    folder = tmp_path_factory.mktemp("awkward")
    raw = support.write_raw(folder / "raw", {"train": 6, "valid": 6, "test": 3})
    for path in raw.glob("*.jsonl"):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for row, record in enumerate(records):
            record["answers"] = [ANSWERS[row % len(ANSWERS)]] * 10
            record["text"] = "où ? 🙂"
            if path.stem == "test":
                del record["answers"]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    support.python(
        "-m", "preprocess", "jsonl", "--raw", raw, "--dest", folder / "bin",
        "--vocab-size", 40, "--min-answer-count", 1,
    )  # fmt: skip
    support.train(
        folder / "bin", folder / "save", "--task", "vqa", "--criterion", "vqa",
        "--max-update", 2, "--warmup-ratio", 0.1,
    )  # fmt: skip
    return folder / "bin", folder / "save" / "checkpoint_last.pt"


def generate(world: tuple[Path, Path], *args: object) -> list[str]:
    data, checkpoint = world
    done = support.fairseq(
        "generate", data, "--task", "vqa", "--path", checkpoint, "--scoring", "vqa_accuracy",
        "--batch-size", 4, *args,
    )  # fmt: skip
    return done.stdout.splitlines()


def column(lines: list[str], letter: str, field: int) -> list[str]:
    """One field of all lines of a kind, in the order of the split."""
    chosen = [line.split("\t") for line in lines if line.startswith(f"{letter}-")]
    chosen.sort(key=lambda fields: int(fields[0].removeprefix(f"{letter}-")))
    return [fields[field] for fields in chosen]


@pytest.fixture(scope="module")
def plain(world) -> list[str]:
    return generate(world, "--gen-subset", "valid", "--nbest", 3)


def test_lines_of_fairseq(plain):
    assert column(plain, "S", 1) == ["où ? 🙂"] * 6
    assert column(plain, "T", 1) == ["new york", "", "2"] * 2
    hypotheses = column(plain, "H", 2)
    assert all(set(hypotheses[row * 3 : row * 3 + 3]) == {"new york", "", "2"} for row in range(6))
    assert column(plain, "D", 2) == hypotheses
    scores = [float(score) for score in column(plain, "H", 1)]
    assert all(score < 0 for score in scores)
    assert [float(p) for p in column(plain, "P", 1)] == pytest.approx(scores, abs=1e-4)


def test_accuracy_is_that_of_the_printed_answers(plain):
    best = column(plain, "D", 2)[::3]
    # ten annotators agree, but these are not VQA v2's: both sides are normalised
    right = sum(a == b for a, b in zip(best, ["new york", "", "2"] * 2, strict=True))
    assert right > 0
    assert plain[-1].startswith(f"Generate valid with beam=5: VQA accuracy {100 * right / 6:.2f} ")
    assert plain[-1].endswith("over 6 questions")


def test_evaluate_says_by_which_rule(world, plain, tmp_path):
    data, checkpoint = world
    out = tmp_path / "out"
    evaluate.main([str(checkpoint), str(data), "--out", str(out), "--cpu", "--num-workers", "0"])
    score = json.loads((out / "score.json").read_text())
    assert score["answer_rule"] == "normalised" and f"{score['score']:.2f} (" in plain[-1]
    records = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert {record["answer_rule"] for record in records} == {"normalised"}
    assert score["score"] == pytest.approx(100 * sum(r["credit"] for r in records) / 6)


def test_an_empty_answer_is_shown_as_quotes(world, capsys):
    picture = world[0].parent / "raw" / "images" / "train-0.png"
    asked = ["--image", str(picture), "--text", "où ?", "--topk", "3"]
    predict.main([str(world[1]), *asked])
    shown = [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert sorted(shown) == ['""', "2", "new york"]
    predict.main([str(world[1]), *asked, "--json"])
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert sorted(answer["text"] for answer in told) == ["", "2", "new york"]
    page = Application(HubInterface.from_pretrained(world[1]), [])
    key = page.upload("train-0.png", picture.read_bytes())["id"]
    assert [row["name"] for row in page.ask("answer", key, "où ?")["rows"]] == shown


def test_post_processing_changes_nothing(world, plain):
    lines = generate(
        world, "--gen-subset", "valid", "--nbest", 3, "--post-process", "sentencepiece"
    )
    assert column(lines, "D", 2) == column(plain, "D", 2)
    assert column(lines, "T", 1) == column(plain, "T", 1)
    assert lines[-1] == plain[-1]


def test_split_without_answers(world):
    lines = generate(world, "--gen-subset", "test")
    assert column(lines, "T", 1) == [""] * 3
    assert lines[-1].endswith("VQA accuracy: no references")


def test_the_scorer_of_another_task_is_refused(world):
    data, checkpoint = world
    done = support.fairseq(
        "generate", data, "--task", "vlp_mlm_itm", "--path", checkpoint, "--scoring",
        "vqa_accuracy", "--gen-subset", "valid", check=False,
    )  # fmt: skip
    assert done.returncode
    assert "Traceback" not in done.stderr
