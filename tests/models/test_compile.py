"""``--compile``: the same losses and gradients, names of weights unchanged, breaks counted."""

from __future__ import annotations

import logging
import shutil
from functools import partial

import pytest
import torch

from mt_fairseq.models import compiling
from mt_fairseq.models.compiling import compile_parts
from mt_fairseq.models.two_tower import model as two_tower
from tests.models.stand_in import batch
from tests.modules.test_checkpointing import MANAGER, build, loss_of

EXACT = {"dropout": 0.0, "attention_dropout": 0.0, "encoder_dropout": 0.0, "manager_noise": 0.0}
SMALL = {**MANAGER, **EXACT, "num_cross_modal_layers": 2}
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, compiling.COMPILERS)), reason="no C++ compiler"
)


@needs_compiler
def test_training_step(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs, breaks and gradients, without the minutes that generated C++ takes."""
    monkeypatch.setattr(two_tower, "compile_parts", partial(compile_parts, backend="aot_eager"))
    plain, compiled = build(**SMALL), build(**SMALL, compile=True)
    compiled.load_state_dict(plain.state_dict())
    expected = loss_of(plain)
    expected.backward()
    result = loss_of(compiled)
    result.backward()
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    with caplog.at_level(logging.INFO):
        loss_of(compiled)
        loss_of(compiled)
    lines = [line for line in caplog.messages if line.startswith("torch.compile: ")]
    assert len(lines) == 1
    assert " 0 graph breaks" in lines[0] and not lines[0].startswith("torch.compile: 0 ")


@needs_compiler
def test_generated_code() -> None:
    """A pass of the text encoder, the smallest of the parts."""
    plain, compiled = build(**SMALL).eval(), build(**SMALL).eval()
    compiled.load_state_dict(plain.state_dict())
    compile_parts(compiled.network)
    tokens = batch()[0]
    with torch.no_grad():
        ours, expected = compiled.encode_text(tokens), plain.encode_text(tokens)
    torch.testing.assert_close(ours.last, expected.last, rtol=1e-5, atol=1e-5)


def test_a_model_that_only_answers_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("mt_fairseq.models.two_tower.model.check_compiler", refuse)
    build(**SMALL, compile=True).eval()(*batch())


def test_a_missing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(compiling.UserError, match="--compile: a C"):
        loss_of(build(**SMALL, compile=True))
