"""``python -m mt_fairseq.predict``."""

from __future__ import annotations

import json

import pytest

from mt_fairseq import predict
from mt_fairseq.errors import UserError
from tests import support

QUESTION = "what colour is the square ?"


@pytest.fixture
def picture(tmp_path):
    support.draw_square(tmp_path / "red.png", "red", 0)
    return tmp_path / "red.png"


def run(capsys, *args: object) -> list[str]:
    assert predict.main([*map(str, args)]) == 0
    return capsys.readouterr().out.splitlines()


def test_questions_are_answered(capsys, vqa_checkpoint, picture):
    args = (vqa_checkpoint, "--image", picture, "--text", QUESTION)
    lines = run(capsys, *args, "--topk", 2)
    assert lines[0] == f"{picture}:" and len(lines) == 3
    (record,) = map(json.loads, run(capsys, *args, "--json"))
    assert record["action"] == "answer" and record["text"] == QUESTION
    best = record["predictions"][0]
    assert lines[1] == f"{best['probability']:8.4f}  {best['text']}"


def test_captions_are_matched_and_masks_filled(capsys, pretrained_checkpoint, picture):
    args = (pretrained_checkpoint, "--image", picture, "--image", picture, "--json", "--text")
    matched = [json.loads(line) for line in run(capsys, *args, "a red square")]
    assert [record["action"] for record in matched] == ["match", "match"]
    assert all(0 < record["probability"] < 1 for record in matched)
    filled = [json.loads(line) for line in run(capsys, *args, "a <mask> square", "--topk", 3)]
    assert [len(record["predictions"]) for record in filled] == [3, 3]
    assert filled[0]["action"] == "fill_mask"


def test_wrong_input(vqa_checkpoint, picture, tmp_path):
    with pytest.raises(UserError, match="can't be read"):
        predict.main([str(vqa_checkpoint), "--image", str(tmp_path / "x"), "--text", QUESTION])
    with pytest.raises(UserError, match="holds half a surrogate pair"):
        predict.main([str(vqa_checkpoint), "--image", str(picture), "--text", "what \udcff ?"])
    with pytest.raises(UserError, match="--topk 0"):
        predict.main([str(vqa_checkpoint), "--image", str(picture), "--text", "?", "--topk", "0"])
    with pytest.raises(UserError, match="--device nonsense"):
        predict.main(
            [str(vqa_checkpoint), "--image", str(picture), "--text", "?", "--device", "nonsense"]
        )


def test_help_and_mistakes_at_a_command_line(tmp_path):
    shown = support.python("-m", "mt_fairseq.predict", "--help").stdout
    assert "examples:" in shown and "--topk" in shown
    done = support.python(
        "-m", "mt_fairseq.predict", tmp_path / "none.pt", "--image", "x", "--text", "y",
        check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
