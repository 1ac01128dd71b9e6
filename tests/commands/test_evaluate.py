"""``python -m mt_fairseq.evaluate``."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from mt_fairseq import evaluate
from mt_fairseq.convert.__main__ import main as convert
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation import vqa_accuracy
from tests import support


def run(*args: object) -> int:
    return evaluate.main([*map(str, args), "--cpu", "--num-workers", "0"])


def read_results(folder: Path) -> tuple[dict, list[dict], list[dict]]:
    lines = (folder / "results.jsonl").read_text().splitlines()
    return (
        json.loads((folder / "score.json").read_text()),
        [json.loads(line) for line in lines],
        json.loads((folder / "evalai.json").read_text()),
    )


def raw_records(raw: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (raw / f"{split}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def evaluated(vqa_checkpoint, question_bin, tmp_path_factory):
    """Results of the command as a user runs it, and what it printed."""
    out = tmp_path_factory.mktemp("results") / "valid"
    done = support.python(
        "-m", "mt_fairseq.evaluate", vqa_checkpoint, question_bin, "--split", "valid",
        "--out", out, "--cpu", "--batch-size", 4,
    )  # fmt: skip
    return out, done.stdout


def test_score_is_that_of_the_raw_answers(evaluated, raw_questions):
    out, printed = evaluated
    score, results, server = read_results(out)
    raw = raw_records(raw_questions, "valid")
    annotations = [{"question_id": r["id"], "answers": r["answers"]} for r in raw]
    expected = vqa_accuracy(server, annotations)
    assert score["score"] == pytest.approx(expected)
    assert score["ci95"][0] <= expected <= score["ci95"][1]
    assert score["samples"] == score["scored"] == len(raw)
    assert sum(r["credit"] for r in results) / len(results) == pytest.approx(expected / 100)
    assert f"VQA accuracy {expected:.2f} (95% CI " in printed
    assert (score["task"], score["image_size"], score["max_text_len"]) == ("vqa", "32x32", 12)


def test_results_are_in_the_order_of_the_split(evaluated, raw_questions):
    _, results, server = read_results(evaluated[0])
    raw = raw_records(raw_questions, "valid")
    assert [r["id"] for r in results] == [r["id"] for r in raw]
    assert server == [{"question_id": r["id"], "answer": r["prediction"]} for r in results]
    for result, record in zip(results, raw, strict=True):
        assert result["reference"] == record["answers"]
        assert result["image"] == record["image"]
        assert result["text"] == record["text"]
        assert result["prediction"] == result["answers"][0]
        assert result["scores"] == sorted(result["scores"], reverse=True)
        assert all(0 <= score <= 1 for score in result["scores"])
        assert len(result["answers"]) == len(result["scores"])


def test_generate_output_is_kept(evaluated):
    out, _ = evaluated
    score, results, _ = read_results(out)
    lines = (out / "generate-valid.txt").read_text().splitlines()
    for row, result in enumerate(results):
        question = next(line for line in lines if line.startswith(f"S-{row}\t"))
        assert result["text"].startswith(question.split("\t")[1].strip())  # cut to 12 tokens
        assert f"T-{row}\t{result['reference'][0]}" in lines
        best = next(line for line in lines if line.startswith(f"D-{row}\t"))
        assert best.split("\t")[2] == result["prediction"]
    assert f"VQA accuracy {score['score']:.2f}" in lines[-1]


@pytest.fixture(scope="module")
def exported(vqa_checkpoint, tmp_path_factory):
    """The checkpoint as a folder to hand on."""
    folder = tmp_path_factory.mktemp("exported") / "vqa"
    assert convert(["export", str(vqa_checkpoint), "--out", str(folder)]) == 0
    return folder


def test_an_exported_folder_answers_as_its_checkpoint(evaluated, exported, question_bin, tmp_path):
    assert run(exported, question_bin, "--out", tmp_path / "out", "--batch-size", "4") == 0
    score, results, server = read_results(tmp_path / "out")
    expected = read_results(evaluated[0])
    assert (results, server) == expected[1:]
    assert score["checkpoint"] == str(exported)
    own = ("checkpoint", "seconds")
    assert {**score, **dict.fromkeys(own)} == {**expected[0], **dict.fromkeys(own)}


def test_fairseq_validates_an_exported_folder(exported, vqa_checkpoint, question_bin):
    found = []
    for path in (exported, vqa_checkpoint / "checkpoint_best.pt"):
        done = support.fairseq(
            "validate", question_bin, "--task", "vqa", "--path", path, "--batch-size", 4,
            "--log-format", "json",
        )  # fmt: skip
        found.append(support.logged(done.stdout + done.stderr, "valid")[-1])
    assert found[0]["valid_loss"] == found[1]["valid_loss"]


def test_questions_without_answers(vqa_checkpoint, question_bin, raw_questions, tmp_path, capsys):
    assert run(vqa_checkpoint, question_bin, "--split", "test", "--out", tmp_path / "out") == 0
    score, results, server = read_results(tmp_path / "out")
    assert (score["score"], score["ci95"], score["scored"]) == (None, None, 0)
    ids = [record["id"] for record in raw_records(raw_questions, "test")]
    assert [record["question_id"] for record in server] == ids
    assert all(isinstance(record["question_id"], int) for record in server)
    assert all(r["reference"] == [] and r["credit"] is None for r in results)
    assert "VQA accuracy: no references" in capsys.readouterr().out


def test_batches_change_nothing(evaluated, vqa_checkpoint, question_bin, tmp_path):
    run(vqa_checkpoint, question_bin, "--out", tmp_path / "one", "--batch-size", "1")
    _, ours, server = read_results(tmp_path / "one")
    _, others, other_server = read_results(evaluated[0])
    assert server == other_server
    for a, b in zip(ours, others, strict=True):
        assert a["scores"] == pytest.approx(b["scores"], abs=1e-5)


def test_what_the_user_names_wins_over_the_checkpoint(vqa_checkpoint, question_bin, tmp_path):
    run(vqa_checkpoint, question_bin, "--out", tmp_path / "out", "--image-size", "48x32")
    assert read_results(tmp_path / "out")[0]["image_size"] == "48x32"


def test_results_are_replaced_on_request_only(vqa_checkpoint, question_bin, tmp_path):
    out = tmp_path / "out"
    run(vqa_checkpoint, question_bin, "--split", "test", "--out", out)
    before = (out / "results.jsonl").read_bytes()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds .* already; .*--overwrite"):
        run(vqa_checkpoint, question_bin, "--split", "valid", "--out", out)
    assert (out / "results.jsonl").read_bytes() == before
    run(vqa_checkpoint, question_bin, "--split", "valid", "--out", out, "--overwrite")
    assert (out / "results.jsonl").read_bytes() != before
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--split", "tset"], "has no split 'tset'.*train, valid, test"),
        (["--batch-size", "0"], "--batch-size 0"),
        (["--image-size", "wide"], "--image-size wide"),
    ],
)
def test_wrong_options(args, message, vqa_checkpoint, question_bin, tmp_path):
    with pytest.raises(UserError, match=message):
        run(vqa_checkpoint, question_bin, "--out", tmp_path / "out", *args)


def test_files_of_the_wrong_kind(
    vqa_checkpoint, pretrained_checkpoint, question_bin, picture_bin, tmp_path
):
    out = ["--out", tmp_path / "out"]
    with pytest.raises(UserError, match="vlp_mlm_itm, which has no predictions to score"):
        run(pretrained_checkpoint, question_bin, *out)
    with pytest.raises(UserError, match="no such checkpoint"):
        run(tmp_path / "none.pt", question_bin, *out)
    with pytest.raises(UserError, match="there is no such data-bin"):
        run(vqa_checkpoint, tmp_path / "none", *out)
    with pytest.raises(UserError, match="has no answer classes"):
        run(vqa_checkpoint, picture_bin, *out)
    truncated = tmp_path / "checkpoint.pt"
    truncated.write_bytes((vqa_checkpoint / "checkpoint_last.pt").read_bytes()[:5000])
    with pytest.raises(UserError, match="not a checkpoint that can be read"):
        run(truncated, question_bin, *out)


def test_old_results_stay_until_the_new_are_whole(
    vqa_checkpoint, question_bin, picture_bin, tmp_path
):
    out = tmp_path / "out"
    run(vqa_checkpoint, question_bin, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UserError, match="has no answer classes"):
        run(vqa_checkpoint, picture_bin, "--out", out, "--overwrite")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_full_disk(vqa_checkpoint, question_bin, tmp_path):
    """A limit on the size of files stands in for a disk that fills up while results are written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(UserError, match="File too large"):
            run(vqa_checkpoint, question_bin, "--out", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out").exists()


def test_a_mistake_ends_in_one_line(vqa_checkpoint, tmp_path):
    done = support.python(
        "-m", "mt_fairseq.evaluate", vqa_checkpoint, tmp_path / "none", "--out", tmp_path / "out",
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
