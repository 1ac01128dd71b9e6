"""Real photographs with captions, and the small world's, from raw files to ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo.world.write import WorldConfig, write_world
from tests.support import TINY, logged, python
from tests.tasks.rank import run

COMMON = ["--batch-size", 8, "--required-batch-size-multiple", 1, "--num-workers", 0,
          "--log-format", "json", "--task", "retrieval"]  # fmt: skip
STEPS = ["--criterion", "itc_itm", "--max-update", 2, "--warmup-updates", 1, "--log-interval", 1,
         "--max-text-len", 24, "--no-epoch-checkpoints"]  # fmt: skip

CAPTIONS = {"coco": (160, 32), "flickr30k": (100, 20)}  # of the valid splits, and their pictures


@pytest.mark.slow
def test_preprocess_train_validate_generate(shared_dir: Path, tmp_path: Path) -> None:
    real, world = tmp_path / "coco", tmp_path / "flickr30k"
    python("-m", "preprocess", "coco", "--raw", shared_dir / "data" / "coco", "--captions",
           "karpathy", "--splits", "train,valid", "--dest", real, "--vocab-size", 300,
           "--resize", 40)  # fmt: skip
    config = WorldConfig(train=60, held_out=40, datasets=("flickr30k",))
    write_world(tmp_path / "raw", config, lambda *_: None)
    python("-m", "preprocess", "flickr30k", "--raw", tmp_path / "raw" / "flickr30k", "--dest",
           world, "--vocab-size", 60)  # fmt: skip
    commands: dict[str, list[object]] = {}
    for data in (real, world):
        folder = tmp_path / "checkpoints" / data.name
        commands[f"train {data.name}"] = ["train", data, *TINY, *COMMON, *STEPS,
                                          "--save-dir", folder]  # fmt: skip
        last = folder / "checkpoint_last.pt"
        commands[f"validate {data.name}"] = ["validate", data, *COMMON, "--path", last]
        commands[f"generate {data.name}"] = [
            "generate", data, *COMMON, "--path", last, "--gen-subset", "valid", "--scoring",
            "recall", "--nbest", 3, "--retrieval-topk", 6,
        ]  # fmt: skip
    outputs = run(tmp_path / "run", commands)
    for data in (real, world):
        losses = [float(r["loss"]) for r in logged(outputs[f"train {data.name}"], "train_inner")]
        assert len(losses) == 2
        first = logged(outputs[f"train {data.name}"], "valid")[-1]
        again = logged(outputs[f"validate {data.name}"], "valid")[-1]
        for name in ("valid_loss", "valid_itc_loss", "valid_itm_loss", "valid_itm_accuracy"):
            assert float(again[name]) == pytest.approx(float(first[name]), abs=2e-3), name
        texts, pictures = CAPTIONS[data.name]
        lines = outputs[f"generate {data.name}"].splitlines()
        assert f"over {texts + pictures} queries" in lines[-1] and "RSUM" in lines[-1]
        found = [line.split("\t") for line in lines if line.startswith("H-")]
        assert len(found) == 3 * (texts + pictures)
        of_texts = [head for head, _, item in found if item.endswith(".jpg")]
        assert of_texts == [f"H-{i}" for i in range(texts) for _ in range(3)]
