"""``python -m mt_fairseq.evaluate compare``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt_fairseq import compare, evaluate
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.runs import pair_runs, read_run
from tests import support


def record(number: int, credit: float | None, **fields: object) -> dict:
    return {
        "id": number,
        "image": f"{number}.jpg",
        "text": f"question {number} ?",
        "prediction": "yes" if credit else "no",
        "reference": ["yes"] * 7 + ["no"] * 3,
        "credit": credit,
        **fields,
    }


def write_run(folder: Path, records: list[dict], **score: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    known = {"task": "vqa", "split": "valid", "scoring": "vqa_accuracy"}
    known["checkpoint"] = f"{folder.name}.pt"
    (folder / "score.json").write_text(json.dumps({**known, **score}))
    return folder


def test_two_evaluations_of_a_checkpoint(vqa_checkpoint, question_bin, tmp_path, capsys) -> None:
    """At another resolution the model answers otherwise; the page shows both answers."""
    for name, size in (("a", "32"), ("b", "16")):
        evaluate.main([
            str(vqa_checkpoint), str(question_bin), "--out", str(tmp_path / name), "--cpu",
            "--image-size", size, "--num-workers", "0",
        ])  # fmt: skip
    capsys.readouterr()
    page = tmp_path / "page.html"
    both = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert evaluate.main(["compare", *both, "--page", str(page), "--data", str(question_bin)]) == 0
    printed = capsys.readouterr().out
    scores = [json.loads((tmp_path / name / "score.json").read_text())["score"] for name in "ab"]
    assert f"B - A  {scores[1] - scores[0]:+.2f} points" in printed
    assert f"(VQA accuracy)\nA  {scores[0]:.2f}  {tmp_path / 'a'}" in printed
    flipped = page.read_text(encoding="utf-8").count("<figure>")
    assert f"{flipped} of {flipped} samples that flipped" in printed


def test_equal_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    records = [record(i, float(i % 3 == 0)) for i in range(60)]
    a, b = write_run(tmp_path / "a", records), write_run(tmp_path / "b", records)
    assert compare.main([str(a), str(b)]) == 0
    printed = capsys.readouterr().out
    assert "B - A  +0.00 points (95 %: +0.00 to +0.00): the samples do not decide" in printed
    assert "flipped: 0 better in B, 0 worse (sign test: p = 1)" in printed


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """B repairs 30 of 100 "number" samples of A and breaks 4 of 100 "other" ones."""
    folder = tmp_path_factory.mktemp("runs")
    kinds = ["number"] * 100 + ["other"] * 100
    before = [record(i, float(i % 2), answer_type=kind) for i, kind in enumerate(kinds)]
    after = [dict(r) for r in before]
    for i in range(0, 60, 2):
        after[i].update(credit=1.0, prediction="yes")
    for i in range(101, 109, 2):
        after[i].update(credit=0.3, prediction="no")
    return write_run(folder / "a", before), write_run(folder / "b", after)


def test_constructed_difference(runs: tuple[Path, Path], capsys: pytest.CaptureFixture) -> None:
    assert compare.main([str(run) for run in runs]) == 0
    printed = capsys.readouterr().out
    gain = 100 * (30 - 4 * 0.7) / 200
    assert f"B - A  +{gain:.2f} points" in printed and ": B is better" in printed
    assert "flipped: 30 better in B, 4 worse" in printed and "34 predictions differ" in printed
    assert "200 samples of split valid on 200 pictures" in printed
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    table = {line[0]: line[1:] for line in cells if line}
    assert table["number"][:4] == ["100", "50.00", "80.00", "+30.00"]
    assert table["number"][5] == "30/0"
    assert table["other"][:4] == ["100", "50.00", "47.20", "-2.80"]
    low, high = (float(bound) for bound in table["number"][4].split(" to "))
    assert 20 < low < 30 < high < 40


def test_the_seed_decides_the_bounds(runs: tuple[Path, Path]) -> None:
    pair = pair_runs(*map(read_run, runs))
    assert compare.report(pair, seed=3) == compare.report(pair, seed=3)
    assert compare.report(pair, seed=3) != compare.report(pair, seed=4)


def test_samples_without_reference_are_left_out(tmp_path: Path) -> None:
    records = [record(0, 1.0), record(1, None), record(2, 0.0)]
    pair = pair_runs(
        read_run(write_run(tmp_path / "a", records)), read_run(write_run(tmp_path / "b", records))
    )
    assert [r["id"] for r in pair.first] == [0, 2]


def test_directions_of_retrieval_are_samples_of_their_own(tmp_path: Path) -> None:
    records = [record(0, 1.0, direction="text"), record(0, 0.0, direction="image")]
    run = read_run(write_run(tmp_path / "a", records))
    assert len(run.records) == 2
    groups = pair_runs(run, run).groupings()
    assert groups == {"direction": ["text", "image"]}


# --- the page ---


def test_page_shows_flips_with_their_pictures(
    vqa_bin: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    images = DataBin(vqa_bin).images
    records = [
        record(i, float(i % 2), image=images.key(i), text=f"<b>{i}</b> & more ?") for i in range(6)
    ]
    after = [dict(r) for r in records]
    after[1].update(credit=0.0, prediction="maybe")
    records[1].update(prediction="")
    after[2].update(credit=1.0, prediction="<yes>")
    a, b = write_run(tmp_path / "a", records), write_run(tmp_path / "b", after)
    page = tmp_path / "page.html"
    compare.main([str(a), str(b), "--page", str(page), "--data", str(vqa_bin)])
    assert f"written to {page}: 2 of 2 samples that flipped" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert text.count("<img ") == 2 and text.count("<figure>") == 2
    assert "&lt;b&gt;1&lt;/b&gt; &amp; more" in text and "<b>1</b>" not in text
    assert "yes ×7, no ×3" in text and "maybe (0.00)" in text and "&lt;yes&gt; (1.00)" in text
    assert '<dd class="won">&quot;&quot; (1.00)</dd>' in text  # an empty answer
    assert text.index("Worse in B: 1 of 1") < text.index("maybe") < text.index("Better in B: 1")
    assert images.key(1) in text and images.key(3) not in text


def test_a_long_page_is_cut_in_proportion(runs: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.html"
    compare.main([*map(str, runs), "--page", str(page), "--limit", "17"])
    assert "17 of 34 samples" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "Worse in B: 2 of 4" in text and "Better in B: 15 of 30" in text


# --- mistakes ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer_rule": "normalised"}, "answer_rule official, .* normalised: .*evaluate one of"),
        ({"split": "test"}, "has split valid, .* has test: not the same"),
        ({"task": "nlvr2"}, "has task vqa"),
    ],
)
def test_different_runs(change: dict, message: str, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", [record(0, 1.0)])
    b = write_run(tmp_path / "b", [record(0, 1.0)], **change)
    with pytest.raises(UserError, match=message):
        compare.main([str(a), str(b)])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([record(0, 1.0)], "lacks 1 samples of .*a, 1 for one"),
        ([record(i, 1.0) for i in range(3)], "a: lacks 1 samples of .*b, 2 for one"),
        ([record(0, 1.0), record(1, 1.0, reference=["no"])], "sample 1 has another reference"),
        ([record(0, 1.0), record(0, 1.0)], "line 2: sample 0 again"),
        ([record(0, None), record(1, None)], "has no references"),
        ([{"id": 3}], "line 1: no result with id, prediction and credit"),
    ],
)
def test_other_samples(records: list[dict], message: str, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", [record(0, 1.0), record(1, 1.0)])
    with pytest.raises(UserError, match=message):
        compare.main([str(a), str(write_run(tmp_path / "b", records))])


def test_wrong_options(runs: tuple[Path, Path], vqa_bin: Path, tmp_path: Path) -> None:
    both = [str(run) for run in runs]
    page = str(tmp_path / "page.html")
    for more, message in (
        (["--data", "x"], "add --page FILE"),
        (["--page", str(tmp_path / "none" / "page.html")], "there is no folder"),
        (["--page", page, "--data", str(tmp_path)], "no data-bin"),
        (["--page", page, "--data", str(vqa_bin)], "none of the results' pictures"),
        (["--limit", "0"], "--limit 0: must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            compare.main([*both, *more])
    with pytest.raises(UserError, match=r"has no score.json; .*mt_fairseq.evaluate"):
        compare.main([both[0], str(tmp_path)])
    damaged = write_run(tmp_path / "damaged", [])
    (damaged / "results.jsonl").write_text('{"id": 1, ')
    with pytest.raises(UserError, match="line 1: no JSON"):
        compare.main([both[0], str(damaged)])


def test_a_mistake_ends_in_one_line(tmp_path: Path) -> None:
    done = support.python("-m", "mt_fairseq.evaluate", "compare", tmp_path, tmp_path, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
