"""What each answer of a question counts: annotators' shares, a half for Visual Genome's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt_fairseq.data.answer_dataset import AnswerDataset
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.transforms import build_transform
from preprocess.__main__ import main
from tests.preprocess.raw import build, write_vqa
from tests.preprocess.test_visual_genome import write_vgqa


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VQA v2, and Visual Genome's questions for its train split alone."""
    root = tmp_path_factory.mktemp("questions")
    vqa = build("vqav2", write_vqa(root / "raw" / "vqa"), root / "vqa", "--min-answer-count", 1)
    build("vgqa", write_vgqa(root / "raw" / "vg"), root / "vgqa", "--tokenizer", vqa,
          "--answer-list", vqa / "dict.label.txt", "--splits", "train")  # fmt: skip
    main(["merge", "--dest", str(root / "both"), str(vqa), str(root / "vgqa")])
    return root / "both"


@pytest.mark.parametrize("split", ["train", "train,valid"])
def test_weights(joined: Path, split: str) -> None:
    """Also where the other split was never joined with Visual Genome's."""
    data = DataBin(joined)
    dataset = AnswerDataset(
        data, split, max_text_len=20, transform=build_transform("square", (32, 32)),
        image_positions=5, seed=1, shuffle=False,
    )  # fmt: skip
    found: dict[str, set[tuple[float, ...]]] = {"vqa": set(), "vgqa": set()}
    for row in range(len(dataset)):
        source = str(dataset.split.sample_id(row)).split("/")[0]
        batch = dataset.collater([dataset[row]])
        found[source if source in found else "vqa"].add(
            tuple(round(weight, 4) for weight in batch["answer_weights"].tolist())
        )
    # eight of ten say the colour, in small letters or capitals; a lone answer counts a half
    assert found == {"vqa": {(0.8, 0.1, 0.1)}, "vgqa": {(0.5,)}}
