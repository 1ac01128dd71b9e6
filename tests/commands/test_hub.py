"""``ManagerTower.from_pretrained``: everything from the checkpoint alone."""

from __future__ import annotations

import io
import json
import shutil

import pytest
import torch
from PIL import Image

from mt_fairseq import ManagerTower, evaluate
from mt_fairseq.errors import UserError
from tests import support

QUESTION = "what colour is the square in the picture ?"


@pytest.fixture(scope="module")
def vqa(vqa_checkpoint):
    return ManagerTower.from_pretrained(vqa_checkpoint)


@pytest.fixture(scope="module")
def pretrained(pretrained_checkpoint):
    return ManagerTower.from_pretrained(pretrained_checkpoint / "checkpoint_last.pt")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for seed, colour in enumerate(support.COLOURS):
        paths.append(folder / f"{colour}.png")
        support.draw_square(paths[-1], colour, seed)
    return paths


def test_answers_equal_those_of_the_evaluation(
    vqa, vqa_checkpoint, question_bin, raw_questions, tmp_path
):
    evaluate.main(
        [str(vqa_checkpoint), str(question_bin), "--out", str(tmp_path), "--cpu",
         "--num-workers", "0", "--nbest", "2"]
    )  # fmt: skip
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    for result in map(json.loads, lines):
        answers = vqa.answer(raw_questions / result["image"], result["text"], topk=2)
        assert [answer for answer, _ in answers] == result["answers"]
        assert [p for _, p in answers] == pytest.approx(result["scores"], abs=1e-5)


def test_lists_equal_single_calls(vqa, pictures):
    single = [vqa.answer(picture, QUESTION, topk=3) for picture in pictures]
    for batch in (
        vqa.answer(pictures, QUESTION, topk=3),
        vqa.answer(pictures, [QUESTION] * len(pictures), topk=3),
    ):
        for ours, expected in zip(batch, single, strict=True):
            assert [a for a, _ in ours] == [a for a, _ in expected]
            assert [p for _, p in ours] == pytest.approx([p for _, p in expected], abs=1e-5)
    questions = ["what is it ?", QUESTION, "where ?"]
    mixed = vqa.answer(pictures[0], questions, topk=1)
    alone = [vqa.answer(pictures[0], question, topk=1) for question in questions]
    for ours, expected in zip(mixed, alone, strict=True):
        assert ours[0][1] == pytest.approx(expected[0][1], abs=1e-5)


def test_more_pairs_than_one_forward_pass_takes(vqa, pictures, monkeypatch):
    monkeypatch.setattr("mt_fairseq.models.hub.BATCH", 2)
    assert len(vqa.answer(pictures[0], [QUESTION] * 5)) == 5


def test_paths_bytes_and_images_are_alike(vqa, pictures):
    path = pictures[0]
    expected = vqa.answer(path, QUESTION)
    for picture in (str(path), path.read_bytes(), Image.open(path), Image.open(path).copy()):
        assert vqa.answer(picture, QUESTION) == expected


def test_rotated_and_transparent_images(vqa, pictures):
    upright = Image.open(pictures[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 270 degrees
    stored = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stored, "PNG", exif=exif)
    expected = vqa.answer(upright, QUESTION)
    assert vqa.answer(stored.getvalue(), QUESTION) == expected
    assert vqa.answer(Image.open(stored), QUESTION) == expected
    assert vqa.answer(upright.convert("RGBA"), QUESTION) == expected


def test_topk(vqa, pictures):
    assert len(vqa.answer(pictures[0], QUESTION, topk=1)) == 1
    everything = vqa.answer(pictures[0], QUESTION, topk=100)
    assert sorted(answer for answer, _ in everything) == sorted(vqa.task.labels)


def test_match_and_fill_mask(pretrained, pictures):
    text = "a red square on a grey and noisy ground"
    probability = pretrained.match(pictures[0], text)
    assert isinstance(probability, float) and 0 < probability < 1
    assert pretrained.match(pictures[:2], text)[0] == pytest.approx(probability, abs=1e-5)
    filled = pretrained.fill_mask(pictures[0], "a <mask> square", topk=4)
    assert len(filled) == 4
    assert filled == sorted(filled, key=lambda pair: -pair[1])
    texts = ["<mask> square", "a red <mask>"]
    assert [len(best) for best in pretrained.fill_mask(pictures[0], texts, topk=2)] == [2, 2]


def test_the_mask_takes_one_place_in_the_text(pretrained):
    tokenizer, dictionary = pretrained.task.tokenizer, pretrained.task.source_dictionary
    expected = [*tokenizer.encode("a"), tokenizer.mask, *tokenizer.encode("on")]
    expected = [dictionary.bos(), *expected, dictionary.eos()]
    for text in (f"a {pretrained.mask_token} on", "a <mask> on"):
        assert pretrained.encode(text, masked=True).tolist() == expected
    assert tokenizer.mask not in pretrained.encode("a <mask> on").tolist()  # only text here


@pytest.mark.parametrize("text", ["no mask", "<mask> and <mask>"])
def test_exactly_one_mask(pretrained, pictures, text):
    with pytest.raises(UserError, match="exactly once"):
        pretrained.fill_mask(pictures[0], text)


def test_mask_beyond_the_text_length(pretrained, pictures):
    with pytest.raises(UserError, match="beyond the model's 12 tokens"):
        pretrained.fill_mask(pictures[0], "a red square " * 5 + "<mask>")


def test_long_questions_are_cut_as_in_training(vqa, pictures):
    assert len(vqa.encode("what colour is the square " * 10)) == 12
    vqa.answer(pictures[0], "what colour is the square " * 10)


def test_missing_heads_are_named(vqa, pretrained, pictures):
    with pytest.raises(
        UserError, match="task vlp_mlm_itm is not asked by answer: use match or fill_mask"
    ):
        pretrained.answer(pictures[0], QUESTION)
    with pytest.raises(UserError, match="no 'itm' head; its heads: vqa"):
        vqa.match(pictures[0], QUESTION)


def test_wrong_pictures_and_texts(vqa, pictures, tmp_path):
    with pytest.raises(UserError, match=r"none\.png: can't be read"):
        vqa.answer(tmp_path / "none.png", QUESTION)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=r"text\.png"):
        vqa.answer(tmp_path / "text.png", QUESTION)
    for text in ("  ", "\u200b\ufeff"):
        with pytest.raises(UserError, match="empty text"):
            vqa.answer(pictures[0], text)
    with pytest.raises(UserError, match="None is not text"):
        vqa.answer(pictures[0], [None])
    with pytest.raises(UserError, match="2 images and 3 texts"):
        vqa.answer(pictures[:2], [QUESTION] * 3)
    with pytest.raises(UserError, match="no images or no texts"):
        vqa.answer([], QUESTION)


@pytest.mark.parametrize("text", ["what \ud83d ?", "\udcff", "a <mask> \ud83d"])
def test_half_a_surrogate_pair_is_no_text(vqa, pretrained, pictures, text):
    ask = pretrained.fill_mask if "mask" in text else vqa.answer
    with pytest.raises(UserError, match=r"^'.*\\ud.*' holds half a surrogate pair"):
        ask(pictures[0], text)
    with pytest.raises(UserError, match="holds half a surrogate pair"):
        pretrained.match(pictures[0], text)


def test_best_checkpoint_goes_before_the_last(vqa_checkpoint, tmp_path):
    last = shutil.copy(vqa_checkpoint / "checkpoint_last.pt", tmp_path)
    assert ManagerTower.from_pretrained(tmp_path).heads == ["vqa"]
    state = torch.load(last, weights_only=True)
    parameters = state["model"]
    name = next(name for name in parameters if name.startswith("heads.vqa"))
    parameters[name] = torch.full_like(parameters[name], 0.125)
    torch.save(state, tmp_path / "checkpoint_best.pt")
    best = ManagerTower.from_pretrained(tmp_path).model.state_dict()
    assert (best[name] == 0.125).all()


def test_folders_and_files_without_a_model(tmp_path):
    with pytest.raises(UserError, match="holds neither checkpoint_best"):
        ManagerTower.from_pretrained(tmp_path)
    with pytest.raises(UserError, match="no such checkpoint"):
        ManagerTower.from_pretrained(tmp_path / "none")
    torch.save({"model": {}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a checkpoint that fairseq-train wrote"):
        ManagerTower.from_pretrained(tmp_path / "other.pt")
