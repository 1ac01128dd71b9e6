"""Any checkpoint of the family into any model of the same architecture."""

from __future__ import annotations

import logging

import pytest
import torch

from mt_fairseq.errors import UserError
from mt_fairseq.modules.positions import resize_positions
from tests.albef import small
from tests.models.stand_in import VOCABULARY, StandInTask, batch, build_small

PRETRAINING = {"mlm": VOCABULARY, "itm": 2}


def test_a_plain_resume_changes_nothing() -> None:
    saved = build_small().state_dict()
    model = build_small()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    given = {name: tensor.clone() for name, tensor in saved.items()}
    model.load_state_dict(given)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in saved.items())
    report = model.load_report
    assert report.loaded == len(saved)
    assert not (report.new or report.left_out or report.resized)


def test_fine_tuning_takes_the_network_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    saved = build_small(StandInTask(heads=PRETRAINING)).state_dict()
    model = build_small(StandInTask(heads={"vqa": 5, "itm": 2}, image_size=(32, 32)))
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with caplog.at_level(logging.INFO):
        model.load_state_dict(dict(saved))
    report = model.load_report
    assert report.new == ["vqa head"]
    assert report.left_out == ["mlm head"]
    assert report.resized == ["image positions 2x3 to 4x4 patches"]
    assert report.loaded == len(fresh) - len([n for n in fresh if n.startswith("heads.vqa")])
    line = "new: vqa head; left out: mlm head; resized: image positions 2x3 to 4x4 patches"
    assert [r.message for r in caplog.records if line in r.message]
    state = model.state_dict()
    for name in state:
        if name.startswith("heads.vqa"):
            assert torch.equal(state[name], fresh[name]), name
        elif "positions" not in name and "layout" not in name:
            assert torch.equal(state[name], saved[name]), name
    positions = "network.vision_encoder.positions"
    assert torch.equal(state[positions], resize_positions(saved[positions], (4, 4), (2, 3)))


def test_other_classes_make_a_new_head() -> None:
    saved = build_small(StandInTask(heads={"vqa": 5})).state_dict()
    model = build_small(StandInTask(heads={"vqa": 6}))
    model.load_state_dict(saved)
    assert model.load_report.new == ["vqa head (other number of classes or width)"]


def test_evaluation_takes_off_what_was_not_trained() -> None:
    saved = build_small(StandInTask(heads={"itm": 2})).state_dict()
    model = build_small(StandInTask(heads={"itm": 2, "vqa": 5}))
    model.trained_heads_only = True
    model.load_state_dict(dict(saved))
    assert list(model.heads) == ["itm"]
    with pytest.raises(UserError, match="the model has no head 'vqa', it has itm: was its checkp"):
        model(*batch(), classification_head_name="vqa")


def test_evaluation_takes_off_a_decoder_made_from_other_layers() -> None:
    heads = {"itc": 0, "itm": 2, "mlm": small.WORDS}
    saved = small.build(heads, twin=True).state_dict()
    for alone in (False, True):
        model = small.build({"answers": small.WORDS}, twin=True)
        model.trained_heads_only = alone
        model.load_state_dict(dict(saved))
        assert model.load_report.untrained_heads == ["answers"]
        assert ("answers" in model.heads) != alone


def test_a_second_image_starts_from_the_trained_row() -> None:
    saved = build_small(StandInTask(heads=PRETRAINING)).state_dict()
    table = saved["network.token_types.weight"].clone()
    model = build_small(StandInTask(heads={"nlvr2": 2}))
    model.load_state_dict(saved)
    types = model.network.token_types.weight
    assert torch.equal(types, table[[0, 1, 1]])
    assert model.load_report.resized == ["token types 2 to 3 rows"]
    back = build_small(StandInTask(heads=PRETRAINING))
    back.load_state_dict(model.state_dict())
    assert torch.equal(back.network.token_types.weight, table)


def test_resized_positions_keep_working() -> None:
    saved = build_small().state_dict()
    model = build_small(StandInTask(image_size=(32, 48)))
    model.load_state_dict(saved)
    tokens, images = batch(image_size=(32, 48))
    assert model(tokens, images).image.shape == (4, 25, 20)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_size": 40}, "--hidden-size.*: 40 in the checkpoint, 20 in this run"),
        ({"num_cross_modal_layers": 2}, "--num-cross-modal-layers: 2 in the checkpoint, 3"),
        ({"text_layers": 4}, "text encoder layers: 4 in the checkpoint, 3"),
        ({"vision_width": 24}, "vision encoder width: 24 in the checkpoint, 16"),
        ({"vision_heads": 4}, "vision encoder heads: 4 in the checkpoint, 2"),
        ({"cross_modal_heads": 4}, "--cross-modal-heads: 4 in the checkpoint, 2"),
        ({"patch_size": 4}, "patch size: 4 in the checkpoint, 8"),
        ({"num_managed_layers": 3}, "--num-managed-layers.*: 3 in the checkpoint, 2"),
        ({"manager_type": "saue"}, "parts of the text's aggregation"),
        ({"fusion": "merged-attention"}, "--fusion.*: attention.* in the checkpoint"),
        ({"manager_query": "own"}, "parts of the text's aggregation"),
        ({"text_positions": 20}, "text encoder positions: 22 in the checkpoint, 18"),
    ],
)
def test_another_architecture_is_one_clear_line(options: dict, words: str) -> None:
    saved = build_small(**options).state_dict()
    with pytest.raises(UserError, match=words) as raised:
        build_small().load_state_dict(saved)
    assert "\n" not in str(raised.value)
    assert "another architecture" in str(raised.value)


def test_another_vocabulary_names_the_tokenizer() -> None:
    saved = build_small(StandInTask(vocabulary=70, heads={})).state_dict()
    with pytest.raises(UserError, match=r"70 entries.*tokenizer"):
        build_small().load_state_dict(saved)


def test_a_foreign_file_is_no_traceback() -> None:
    with pytest.raises(UserError, match="another architecture"):
        build_small().load_state_dict({"encoder.weight": torch.zeros(2)})
