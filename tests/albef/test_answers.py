"""VQA as generation by command: training, ranking the list, writing freely, errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from mt_fairseq import Albef, evaluate
from mt_fairseq.data.answer_dataset import AnswerDataset
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.evaluation import vqa_accuracy
from mt_fairseq.models.checkpoint import load_checkpoint
from mt_fairseq.modules.albef.ranking import answer_likelihood
from mt_fairseq.tasks.albef_vqa import AlbefVqaConfig, AlbefVqaTask
from preprocess.__main__ import main as preprocess
from tests import support
from tests.albef.test_pretraining import OPTIONS as PRETRAINING
from tests.support import logged
from tests.tasks.rank import run

COLOURS = {"red", "green", "blue"}
OPTIONS = [
    "--task", "albef_vqa", "--criterion", "albef_vqa", "--best-checkpoint-metric", "loss",
    *PRETRAINING[4:PRETRAINING.index("--disable-validation")],
    "--log-format", "json", "--log-interval", 1, "--batch-size", 4,
    "--lr", 0.003, "--momentum", 0.9,
]  # fmt: skip
GENERATION = [
    "--task", "albef_vqa", "--gen-subset", "valid", "--batch-size", 4, "--num-workers", 0,
    "--scoring", "vqa_accuracy", "--nbest", 2, "--beam", 2,
]  # fmt: skip


@pytest.fixture(scope="module")
def answer_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 + 7 questions that name the answers, so that the tokenizer can write them."""
    folder = tmp_path_factory.mktemp("questions")
    raw = support.write_raw(folder / "raw", {"train": 20, "valid": 7})
    for path in raw.glob("*.jsonl"):
        text = "red , green , blue or grey ?"
        path.write_text(
            path.read_text().replace("what colour is the square in the picture ?", text)
        )
    preprocess(
        ["jsonl", "--raw", str(raw), "--dest", str(folder / "bin"), "--vocab-size", "30",
         "--min-answer-count", "1", "--workers", "1"]
    )  # fmt: skip
    return folder / "bin"


def config(data: Path, save_dir: Path) -> AlbefVqaConfig:
    """A task's options outside a command, which fills in those of other groups."""
    return AlbefVqaConfig(
        data=str(data), train_subset="train", save_dir=str(save_dir), restore_file="", path=None,
        finetune_from_model=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def outputs(answer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The checkpoint, and what training, ranking and writing freely printed."""
    folder = tmp_path_factory.mktemp("answers")
    checkpoint = folder / "checkpoint_last.pt"
    generate = ["generate", answer_bin, "--path", checkpoint, *GENERATION]
    commands = {
        "train": ["train", answer_bin, *OPTIONS, "--save-dir", folder, "--max-update", 40],
        "rank": generate,
        "free": [*generate, "--free-answers", "--max-len-b", 6],
    }
    return checkpoint, run(folder, commands)


def hypotheses(output: str) -> dict[int, list[str]]:
    """Answers of each question, best first."""
    found: dict[int, list[str]] = {}
    for line in output.splitlines():
        if line.startswith("H-"):
            number, _, answer = line[2:].split("\t")
            found.setdefault(int(number), []).append(answer)
    return found


def test_training_learns_and_distils(outputs: tuple[Path, dict]) -> None:
    records = logged(outputs[1]["train"], "train_inner")
    losses = [float(record["loss"]) for record in records]
    assert len(losses) == 40
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert float(records[0]["alpha"]) == 0 and float(records[-1]["alpha"]) == 0.4
    saved = torch.load(outputs[0], weights_only=False)["model"]
    assert any(name.startswith("twin.heads.answers.") for name in saved)


def test_ranking_stays_in_the_list(outputs: tuple[Path, dict]) -> None:
    answers = hypotheses(outputs[1]["rank"])
    assert sorted(answers) == list(range(7))
    assert all(len(set(best)) == 2 and set(best) <= COLOURS for best in answers.values())


def test_ranking_is_by_likelihood(outputs: tuple[Path, dict], answer_bin: Path) -> None:
    """Each printed answer is the one that the decoder finds likeliest, asked one by one."""
    loaded = load_checkpoint(outputs[0])
    task, model = loaded.task, loaded.model
    dataset = AnswerDataset(
        DataBin(answer_bin),
        "valid",
        transform=task.build_transform(training=False),
        shuffle=False,
        **task.dataset_arguments(),
    )
    inputs = dataset.collater([dataset[0], dataset[1]])["net_input"]
    with torch.no_grad():
        text = model.encode_text(inputs["src_tokens"])
        states = model.fuse(text, model.encode_images(inputs["images"])).text
        for row in range(2):
            likelihoods = {
                label: float(
                    answer_likelihood(
                        model.heads["answers"],
                        states[row : row + 1],
                        text.mask[row : row + 1],
                        dataset.answer_tokens(label)[None],
                    )
                )
                for label in COLOURS
            }
            ranked = sorted(COLOURS, key=lambda label: -likelihoods[label])
            assert hypotheses(outputs[1]["rank"])[row] == ranked[:2]


def test_free_answers_are_words(outputs: tuple[Path, dict]) -> None:
    output = outputs[1]["free"]
    answers = hypotheses(output)
    assert sorted(answers) == list(range(7))
    assert all(len(best) == 2 for best in answers.values())
    assert {best[0] for best in answers.values()} <= COLOURS | {"grey"}  # what training showed
    targets = [line.split("\t")[1] for line in output.splitlines() if line.startswith("T-")]
    assert targets and set(targets) <= COLOURS


@pytest.mark.parametrize("further", [[], ["--", "--free-answers", "--max-len-b", "6"]])
def test_evaluate_scores_answers(
    further: list[str], outputs: tuple[Path, dict], answer_bin: Path, tmp_path: Path
) -> None:
    code = evaluate.main(
        [str(outputs[0]), str(answer_bin), "--split", "valid", "--out", str(tmp_path / "out"),
         "--cpu", "--num-workers", "0", "--batch-size", "4", "--nbest", "2", *further]
    )  # fmt: skip
    assert code == 0
    score = json.loads((tmp_path / "out" / "score.json").read_text())
    lines = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    printed = hypotheses(outputs[1]["free" if further else "rank"])
    assert [record["answers"] for record in records] == [printed[row] for row in range(7)]
    split = DataBin(answer_bin).split("valid")
    expected = vqa_accuracy(
        [{"question_id": row, "answer": printed[row][0]} for row in range(7)],
        [{"question_id": row, "answers": split.value("answers", row)} for row in range(7)],
    )
    assert score["score"] == pytest.approx(expected)
    assert score["task"] == "albef_vqa" and score["scored"] == 7


@pytest.mark.parametrize("further", [[], ["--", "--free-answers", "--max-len-b", "6"]])
def test_parts_merge_to_the_whole(
    further: list[str], outputs: tuple[Path, dict], answer_bin: Path, tmp_path: Path
) -> None:
    """Also answers that stand in no list survive the way from one process to the other."""
    for part in ("1/2", "2/2"):
        code = evaluate.main(
            [str(outputs[0]), str(answer_bin), "--split", "valid", "--out",
             str(tmp_path / part[0]), "--cpu", "--num-workers", "0", "--batch-size", "4",
             "--nbest", "2", "--shard", part, *further]
        )  # fmt: skip
        assert code == 0
    merge = ["merge", str(tmp_path / "1"), str(tmp_path / "2"), "--out", str(tmp_path / "whole")]
    assert evaluate.main(merge) == 0
    lines = (tmp_path / "whole" / "results.jsonl").read_text().splitlines()
    printed = hypotheses(outputs[1]["free" if further else "rank"])
    assert [json.loads(line)["answers"] for line in lines] == [printed[row] for row in range(7)]
    assert json.loads((tmp_path / "whole" / "score.json").read_text())["scored"] == 7


def test_hub_answers_as_generation_does(outputs: tuple[Path, dict], answer_bin: Path) -> None:
    """Probabilities over the whole list, which is shorter than ``--rank-top-k``, sum to one."""
    model = Albef.from_pretrained(outputs[0])
    raw = answer_bin.parent / "raw"
    record = json.loads((raw / "valid.jsonl").read_text().splitlines()[0])
    (both, _) = model.answer([raw / record["image"]] * 2, record["text"], topk=3)
    assert [answer for answer, _ in both][:2] == hypotheses(outputs[1]["rank"])[0]
    assert sum(p for _, p in both) == pytest.approx(1)
    assert len(model.answer(raw / record["image"], record["text"], topk=1)) == 1


def test_answers_that_the_tokenizer_cannot_write(
    vqa_bin: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its questions hold no d, g or b."""
    AlbefVqaTask.setup_task(config(vqa_bin, tmp_path))
    assert "3 of 3 answers, 'red' for one, have characters" in caplog.text


def test_empty_list_of_answers(answer_bin: Path, tmp_path: Path) -> None:
    shutil.copytree(answer_bin, tmp_path / "bin")
    (tmp_path / "bin" / "dict.label.txt").write_text("")
    done = support.fairseq(
        "train", tmp_path / "bin", *OPTIONS, "--save-dir", tmp_path / "save", "--max-update", 1,
        check=False,
    )  # fmt: skip
    assert done.returncode and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "list of answers (dict.label.txt) is empty" in last
