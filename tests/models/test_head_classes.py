"""Rows of a head follow the names of their classes, in both families and in the momentum twin."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mt_fairseq.models.head_classes import ClassNames
from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.albef import small
from tests.models.stand_in import StandInTask, build_small

SAVED = ["red", "blue", "grey", "white"]
CASES = {
    "another order": (["blue", "white", "red", "grey"], "4 matched by name"),
    "some of them": (
        ["green", "white", "red"],
        "2 matched by name, 1 new ('green'), 2 left out ('blue', 'grey')",
    ),
    "more": (
        ["grey", "a", "red", "b", "white", "c", "blue", "d"],
        "4 matched by name, 4 new ('a', 'b', 'c', ...)",
    ),
    "the same": (SAVED, "4 matched by name"),
}
MODELS = ("two towers", "albef", "albef with twin")


def build(kind: str, head: str, classes: int, seed: int) -> TwoTowerModel:
    if kind == "two towers":
        model = build_small(StandInTask(heads={head: classes}))
    else:
        model = small.build({head: classes}, twin=kind == "albef with twin")
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def load(model: TwoTowerModel, state: dict[str, Tensor], own: Sequence[str]) -> dict[str, Tensor]:
    """What the model holds after loading, beside what it held before."""
    (head,) = model.heads
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    model.class_names = ClassNames({head: list(own)}, {head: SAVED})
    model.load_state_dict({name: value.clone() for name, value in state.items()})
    return fresh


def check_rows(
    found: dict[str, Tensor],
    saved: dict[str, Tensor],
    fresh: dict[str, Tensor],
    own: Sequence[str],
    head: str,
) -> None:
    """Every class has the row of its name, a new one a fresh row; other layers are the saved."""
    assert any(name.startswith(head) for name in found)
    for name in found:
        if not name.startswith(head):
            continue
        if ".out." not in name:
            torch.testing.assert_close(found[name], saved[name], rtol=0, atol=0)
            continue
        for row, label in enumerate(own):
            wanted = saved[name][SAVED.index(label)] if label in SAVED else fresh[name][row]
            torch.testing.assert_close(found[name][row], wanted, rtol=0, atol=0)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_rows_follow_their_names(kind: str, case: str) -> None:
    own, words = CASES[case]
    saved = build(kind, "snli_ve", len(SAVED), 1).state_dict()
    model = build(kind, "snli_ve", len(own), 2)
    fresh = load(model, saved, own)
    check_rows(model.state_dict(), saved, fresh, own, "heads.snli_ve.")
    if kind == "albef with twin":
        check_rows(model.state_dict(), saved, fresh, own, "twin.heads.snli_ve.")
    report = model.load_report
    assert report is not None and not report.new
    assert report.classes == [f"snli_ve head, {words}"]
    assert str(report).endswith(f"; classes: snli_ve head, {words}")


def test_a_twin_that_starts_here_has_the_rows_of_its_model() -> None:
    """They have been moved once; moved twice they would answer for other classes again."""
    own, _ = CASES["another order"]
    saved = build("albef", "snli_ve", len(SAVED), 1).state_dict()
    model = build("albef with twin", "snli_ve", len(own), 2)
    load(model, saved, own)
    state = model.state_dict()
    for name in [name for name in state if name.startswith("heads.")]:
        assert torch.equal(state[f"twin.{name}"], state[name]), name


@pytest.mark.parametrize("head", ["vqa", "nlvr2"])
@pytest.mark.parametrize("kind", MODELS[:2])
def test_every_head_with_classes(head: str, kind: str) -> None:
    own, _ = CASES["some of them"]
    saved = build(kind, head, len(SAVED), 1).state_dict()
    model = build(kind, head, len(own), 2)
    fresh = load(model, saved, own)
    check_rows(model.state_dict(), saved, fresh, own, f"heads.{head}.")


def test_no_class_in_common_makes_a_new_head() -> None:
    saved = build("two towers", "vqa", len(SAVED), 1).state_dict()
    model = build("two towers", "vqa", len(SAVED), 2)
    fresh = load(model, saved, ["yes", "no", "maybe", "two"])
    assert model.load_report is not None
    assert model.load_report.new == ["vqa head (no class in common)"]
    for name, value in model.state_dict().items():
        if name.startswith("heads."):
            assert torch.equal(value, fresh[name])


def test_names_that_a_checkpoint_lacks() -> None:
    """Then a head of the same shape stays as it is, and the report says so."""
    saved = build("two towers", "vqa", 4, 1).state_dict()
    model = build("two towers", "vqa", 4, 2)
    model.class_names = ClassNames({"vqa": SAVED})
    model.load_state_dict({name: value.clone() for name, value in saved.items()})
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    assert model.load_report is not None
    (line,) = model.load_report.classes
    assert line.startswith("vqa head as it was: the checkpoint does not name its classes")


def test_half_precision_rows_go_into_a_float32_head() -> None:
    own, _ = CASES["another order"]
    saved = build("two towers", "vqa", len(SAVED), 1).bfloat16().state_dict()
    model = build("two towers", "vqa", len(own), 2)
    load(model, saved, own)
    rows = model.state_dict()["heads.vqa.out.weight"]
    assert rows.dtype == torch.float32
    assert torch.equal(rows[own.index("grey")], saved["heads.vqa.out.weight"][2].float())
