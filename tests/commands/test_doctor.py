"""``python -m mt_fairseq.doctor``."""

from __future__ import annotations

import json

import pytest

from mt_fairseq.convert.__main__ import main as convert
from mt_fairseq.doctor import __main__ as doctor
from mt_fairseq.doctor import installation
from mt_fairseq.doctor.findings import FAIL, Finding, run_checks
from mt_fairseq.errors import UserError
from tests import support
from tests.commands.conftest import preprocess


def run(capsys, *paths: object) -> tuple[int, list[str]]:
    code = doctor.main([*map(str, paths)])
    return code, capsys.readouterr().out.splitlines()


def lines_of(lines: list[str], state: str) -> list[str]:
    return [line for line in lines if line.startswith(state)]


def test_a_sound_installation(tmp_path):
    done = support.python("-m", "mt_fairseq.doctor", check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    for word in ("python 3.", "torch ", "fairseq-fixed 0.12.3.1", "data_utils_fast", "--user-dir"):
        assert any(line.startswith("ok ") and word in line for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[-1] == "all is well"


def test_checkpoint_and_data_that_fit(capsys, vqa_checkpoint, question_bin):
    code, lines = run(capsys, question_bin, vqa_checkpoint)  # in either order
    assert code == 0 and not lines_of(lines, FAIL)
    text = "\n".join(lines)
    assert "managertower_tiny" in text and "task vqa, heads vqa, 32x32 pixels, 12 tokens" in text
    assert "train 12, valid 9, test 5 samples, 26 images" in text
    assert "tokenizer: the same" in text and "labels: the same, 3" in text


def test_an_exported_folder_and_data_that_fit(capsys, vqa_checkpoint, question_bin, tmp_path):
    convert(["export", str(vqa_checkpoint), "--out", str(tmp_path / "vqa")])
    code, lines = run(capsys, tmp_path / "vqa", question_bin)
    assert code == 0 and not lines_of(lines, FAIL)
    text = "\n".join(lines)
    assert f"checkpoint {tmp_path / 'vqa'}: managertower_tiny" in text
    assert "tokenizer: the same" in text and "labels: the same, 3" in text


@pytest.fixture(scope="module")
def other_bin(tmp_path_factory):
    """Other answers, another tokenizer, smaller pictures, longer texts."""
    folder = tmp_path_factory.mktemp("other")
    raw = support.write_raw(folder / "raw", {"train": 6})
    path = raw / "train.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record |= {"answers": ["square"], "text": "so what is it that we see here ? " * 3}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return preprocess(
        raw, folder / "bin", "--vocab-size", 60, "--min-answer-count", 1, "--resize", 16
    )


def test_checkpoint_and_data_that_do_not_fit(capsys, vqa_checkpoint, other_bin):
    code, lines = run(capsys, vqa_checkpoint, other_bin)
    assert code == 1
    failed, warned = lines_of(lines, FAIL), lines_of(lines, "warn")
    assert any("tokenizer" in line and "--tokenizer" in line for line in failed)
    assert any("labels" in line and "--answer-list" in line for line in failed)
    assert any("resolution" in line and "--resize" in line for line in warned)
    assert any("text length: 6 of 6" in line and "--max-text-len" in line for line in warned)
    assert lines[-1].startswith("2 failed")


def test_captions_have_no_labels_to_fit(capsys, pretrained_checkpoint, question_bin):
    code, lines = run(capsys, pretrained_checkpoint, question_bin)
    assert code == 0 and not any("labels:" in line for line in lines)


def test_damaged_files(capsys, vqa_checkpoint, tmp_path):
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes((vqa_checkpoint / "checkpoint_last.pt").read_bytes()[:2000])
    code, lines = run(capsys, damaged, tmp_path / "none")
    assert code == 1
    failed = lines_of(lines, FAIL)
    assert any("damaged.pt" in line for line in failed)
    assert any("there is no such data-bin" in line for line in failed)


def test_two_of_a_kind(tmp_path):
    with pytest.raises(UserError, match="both checkpoints"):
        doctor.main(["a.pt", "b.pt"])
    with pytest.raises(UserError, match="at most one"):
        doctor.main([str(tmp_path / "a"), str(tmp_path / "b")])


def test_missing_parts_are_named_with_their_remedy(monkeypatch):
    monkeypatch.setattr(installation, "EXTENSIONS", ("fairseq.data.no_such_extension",))
    (finding,) = installation.compiled_extensions()
    assert finding.state == FAIL and "--no-build-isolation" in finding.text
    monkeypatch.setattr(installation, "MINIMUM", {"no-such-package": (1, 2), "numpy": (99,)})
    missing, old = installation.packages()
    assert missing.state == FAIL and "'no-such-package>=1.2'" in missing.text
    assert old.state == FAIL and "99 or later" in old.text


def test_a_folder_that_hides_a_package(monkeypatch, tmp_path):
    (tmp_path / "fairseq").mkdir()
    monkeypatch.chdir(tmp_path)
    (finding,) = installation.shadowed_packages()
    assert finding.state == "warn" and "hides the package fairseq" in finding.text


def test_a_check_that_breaks_is_a_finding():
    def broken_check():
        raise RuntimeError("first line\nsecond")

    def sound_check():
        yield Finding("ok", "sound")

    assert [str(finding) for finding in run_checks([broken_check, sound_check])] == [
        "FAIL  broken check: RuntimeError: first line",
        "ok    sound",
    ]


def test_version_numbers():
    assert installation.numbers("2.13.0+cpu") == (2, 13, 0)
