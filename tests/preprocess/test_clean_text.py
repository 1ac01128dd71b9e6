"""``--clean-text``: ids, metadata, joining, and what training and trained models do about it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.models.hub import HubInterface
from mt_fairseq.tasks.task_state import TaskState
from preprocess.__main__ import main

from .raw import build, write_jsonl

ROWS = [
    {"image": "0.jpg", "text": "A RED-and-white thing, (number 1)."},
    {"image": "1.jpg", "text": "word " * 40},
]
CLEAN = ["a red and white thing number 1", " ".join(["word"] * 30)]


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clean and plain, with one tokenizer."""
    root = tmp_path_factory.mktemp("clean")
    raw = write_jsonl(root / "raw", ROWS)
    build("jsonl", raw, root / "clean", "--clean-text", "albef-captions")
    build("jsonl", raw, root / "plain", "--tokenizer", root / "clean")
    return root


def test_texts_are_stored_clean(bins: Path) -> None:
    data = DataBin(bins / "clean")
    split = data.split("train")
    assert [data.dictionary.string(split.text(i)) for i in range(2)] == CLEAN
    assert data.text_cleaning == "albef-captions"
    assert not set("ARED-,().") & set("".join(data.tokenizer.symbols[4:-1]))  # nor trained on
    plain = DataBin(bins / "plain")
    assert plain.text_cleaning is None
    assert plain.split("train").text_lengths[1] > split.text_lengths[1]


def test_nothing_left_of_a_text(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", [*ROWS, {"image": "0.jpg", "text": "..."}])
    with pytest.raises(UserError, match=r"--clean-text albef-captions leaves nothing of its text"):
        build("jsonl", raw, tmp_path / "bin", "--clean-text", "albef-captions")
    dest = build("jsonl", raw, tmp_path / "bin", "--clean-text", "albef-captions",
                 "--on-error", "skip")  # fmt: skip
    metadata = json.loads((dest / "metadata.json").read_text())
    assert "leaves nothing" in metadata["splits"]["train"]["skipped"][0]["reason"]


def test_only_like_texts_are_joined(bins: Path, tmp_path: Path) -> None:
    sources = [str(bins / "clean"), str(bins / "plain")]
    with pytest.raises(UserError, match=r"plain: was written with --clean-text None, .*clean with"):
        main(["merge", "--dest", str(tmp_path / "all"), *sources])
    other = build("jsonl", bins / "raw", tmp_path / "other", "--tokenizer", sources[0],
                  "--clean-text", "albef-captions")  # fmt: skip
    main(["merge", "--dest", str(tmp_path / "all"), sources[0], str(other)])
    assert DataBin(tmp_path / "all").text_cleaning == "albef-captions"


def test_a_checkpoint_of_other_texts(bins: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning where one is cleaned and the other is not; captions may turn questions."""

    def warned(trained_on: str | None, data: str) -> str:
        caplog.clear()
        state = TaskState("vqa", {}, None, (32, 32), 20, trained_on)
        assert TaskState.from_dict(state.to_dict(), "it") == state
        state.warn_of_other_texts(DataBin(bins / data), "it")
        return caplog.text

    assert "plain: its texts are as they came, those of it were cleaned as" in warned(
        "albef-questions", "plain"
    )
    assert "clean: its texts are cleaned as albef-captions" in warned(None, "clean")
    assert not warned(None, "plain") and not warned("albef-questions", "clean")


def test_a_trained_model_cleans_what_it_is_given(bins: Path) -> None:
    data = DataBin(bins / "clean")
    task: Any = SimpleNamespace(
        tokenizer=data.tokenizer, text_cleaning=data.text_cleaning, text_limit=50,
        source_dictionary=data.dictionary,
    )  # fmt: skip
    hub: Any = SimpleNamespace(task=task)
    hub._words = lambda text: HubInterface._words(hub, text)
    tokens = HubInterface.encode(hub, str(ROWS[0]["text"]))
    assert tokens[1:-1].tolist() == data.split("train").text(0).tolist()
