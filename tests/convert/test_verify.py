"""``python -m mt_fairseq.convert verify`` with a stand-in for a published file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt_fairseq.convert.__main__ import main
from mt_fairseq.convert.published import published
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from tests import support
from tests.convert.published_file import GOLDEN_HEADS, write_published
from tests.preprocess.raw import build, write_vqa

OPTIONS = ("--cpu", "--num-workers", "0", "--heads", str(GOLDEN_HEADS))


@pytest.fixture(scope="module")
def stand_in(shared_dir: Path, vqa_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = DataBin(vqa_bin)
    assert data.labels is not None
    path = tmp_path_factory.mktemp("published") / "vqa.ckpt"
    golden = shared_dir / "golden" / "mt_saue"
    return write_published(path, golden, "vqa", len(data.tokenizer.symbols), len(data.labels))


def verify(checkpoint: Path, data: Path, *args: object) -> int:
    return main(["verify", str(checkpoint), str(data), *OPTIONS, *map(str, args)])


def test_score_beside_the_papers(stand_in: Path, vqa_bin: Path, tmp_path: Path) -> None:
    done = support.python(
        "-m", "mt_fairseq.convert", "verify", stand_in, vqa_bin, "--out", tmp_path / "out",
        *OPTIONS, check=False,
    )  # fmt: skip
    score = json.loads((tmp_path / "out" / "score.json").read_text())
    low, high = score["ci95"]
    assert f"this installation: {score['score']:.2f} (95% CI {low:.2f}-{high:.2f})" in done.stdout
    assert "expected:          79.39 (managertower base, testdev)" in done.stdout
    assert done.returncode == (0 if low <= 79.39 <= high else 1), done.stderr
    assert "left over: none" in done.stdout
    # what it converted is a checkpoint like any other
    args = ("--expect", score["score"], "--out", tmp_path / "again")
    assert verify(tmp_path / "out" / "converted.pt", vqa_bin, *args) == 0


def test_exit_status(stand_in: Path, vqa_bin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(stand_in, vqa_bin, "--expect", 150) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_trained_checkpoint(trained: Path, vqa_bin: Path, tmp_path: Path) -> None:
    assert verify(trained, vqa_bin, "--expect", -1, "--out", tmp_path / "out") == 1
    assert not (tmp_path / "out" / "converted.pt").exists()


def test_bad_input(stand_in: Path, trained: Path, vqa_bin: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such data-bin"):
        verify(stand_in, tmp_path / "none")
    with pytest.raises(UserError, match="has no split 'test'"):
        verify(stand_in, vqa_bin, "--split", "test")
    with pytest.raises(UserError, match="no such checkpoint"):
        verify(tmp_path / "none.ckpt", vqa_bin)
    (tmp_path / "text.ckpt").write_text("epoch,loss")
    with pytest.raises(UserError, match="not a checkpoint that can be read"):
        verify(tmp_path / "text.ckpt", vqa_bin)


def test_split_without_answers(shared_dir: Path, tmp_path: Path) -> None:
    raw = support.write_raw(tmp_path / "raw", {"train": 12, "test": 3})
    lines = [json.loads(line) for line in (raw / "test.jsonl").read_text().splitlines()]
    for line in lines:
        del line["answers"]
    (raw / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    converted = tmp_path / "first" / "converted.pt"
    support.python(
        "-m", "preprocess", "jsonl", "--raw", raw, "--dest", tmp_path / "bin", "--tokenizer",
        "sentencepiece", "--vocab-size", 60, "--min-answer-count", 1,
    )  # fmt: skip
    data = DataBin(tmp_path / "bin")
    assert data.labels is not None
    sizes = (len(data.tokenizer.symbols), len(data.labels))
    golden = shared_dir / "golden" / "mt_saue"
    published_file = write_published(tmp_path / "vqa.ckpt", golden, "vqa", *sizes)
    out = tmp_path / "first"
    with pytest.raises(UserError, match=r"evalai\.json to the server; the paper's score .* 79\.15"):
        verify(published_file, tmp_path / "bin", "--split", "test", "--out", out)
    assert converted.is_file() and len(json.loads((out / "evalai.json").read_text())) == 3


def test_testdev_alone_is_not_advised_as_a_submission(stand_in: Path, tmp_path: Path) -> None:
    """It ends before the work starts: the server wants the whole test set."""
    raw = write_vqa(tmp_path / "raw", images=3)
    data = build("vqav2", raw, tmp_path / "bin", "--min-answer-count", 1)
    with pytest.raises(UserError, match=r"split testdev has no answers here, .* --split test$"):
        verify(stand_in, data, "--split", "testdev", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_published_scores() -> None:
    def score(name: str, width: int, task: str, split: str) -> float | None:
        found = published(name, width, task, split)
        return None if found is None else found.score

    assert score("managertower_base", 768, "vqa", "test") == 79.15
    assert score("managertower_base", 768, "vqa", "valid") == 79.39
    assert score("bridgetower_base", 1024, "vqa", "test") == 81.15
    assert score("meter_base", 768, "nlvr2", "test") == 83.05
    assert score("managertower_base", 768, "snli_ve", "test") == 81.44
    assert score("managertower_base", 768, "snli_ve", "other") is None
    assert score("managertower_base", 768, "vlp_mlm_itm", "valid") is None
