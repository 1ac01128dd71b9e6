"""``--log-weights-interval``: what TensorBoard reads back, and that training is left alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mt_fairseq.errors import UserError
from mt_fairseq.tasks.weights_log import RUN, TAG, WeightsLog
from tests.analysis.conftest import LOG_INTERVAL
from tests.models.stand_in import METER, batch, build_small


def read_pictures(folder: Path) -> dict[int, np.ndarray]:
    """Update -> the picture in TensorBoard's event file, (H, W, 3)."""
    events = EventAccumulator(str(folder / RUN), size_guidance={"images": 0})
    events.Reload()
    assert events.Tags()["images"] == [TAG]
    return {
        event.step: np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
        for event in events.Images(TAG)
    }


def net_input() -> dict[str, torch.Tensor]:
    tokens, images = batch()
    return {"src_tokens": tokens, "images": images}


def test_training_writes_a_figure_every_so_many_updates(vqa_run: Path) -> None:
    """Six updates of two batches each: one figure at updates 0 and 3."""
    pictures = read_pictures(vqa_run / "tb")
    assert sorted(pictures) == [0, LOG_INTERVAL]
    first, later = pictures.values()
    assert first.ndim == 3 and first.shape[1] > 1000 and (first < 128).any()
    assert first.shape != later.shape or (first != later).any()  # the caption, if nothing else


def test_training_goes_on_as_without(tmp_path: Path) -> None:
    model = build_small()
    model.train()
    model.network.text_encoder.eval()  # a part that someone froze
    before = {name: module.training for name, module in model.named_modules()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    WeightsLog(1, str(tmp_path)).write(model, net_input(), 0)
    assert torch.equal(torch.rand(3), expected)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert all(parameter.grad is None for parameter in model.parameters())


def test_wrapped_models_and_further_images(tmp_path: Path) -> None:
    """As in pre-training by several processes: a wrapper, and more images than texts."""
    model, inputs = build_small(), net_input()
    alone, wrapped = WeightsLog(1, str(tmp_path / "a")), WeightsLog(1, str(tmp_path / "b"))
    alone.write(model, inputs, 7)
    further = torch.cat([inputs["images"], inputs["images"].flip(0)])
    wrapper = torch.nn.Module()
    wrapper.module = model
    wrapped.write(wrapper, {**inputs, "images": further}, 7)
    ours, theirs = read_pictures(tmp_path / "a"), read_pictures(tmp_path / "b")
    assert (ours[7] == theirs[7]).all()


def test_when_it_is_due() -> None:
    log = WeightsLog(5, "folder")
    assert [update for update in range(12) if log.is_due(update)] == [0, 5, 10]
    log.last = 5
    assert not log.is_due(5)  # another batch of the same update


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--tensorboard-logdir"):
        WeightsLog(5, None)
    with pytest.raises(UserError, match="MeterTiny has no managers"):
        WeightsLog(1, str(tmp_path)).write(build_small(**METER), net_input(), 0)
