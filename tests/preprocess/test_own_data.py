"""The commands of examples/own_data/README.md do what the text says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mt_fairseq.data.data_bin import DataBin

ROOT = Path(__file__).resolve().parents[2]


def bash_blocks(path: Path) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": search}
    (folder / "user_dir").symlink_to(ROOT / "user_dir")  # the page's commands stand in the checkout
    with open(folder / "printed.txt", "w", encoding="utf-8") as printed:
        for block in bash_blocks(ROOT / "examples" / "own_data" / "README.md"):
            command = ["bash", "-e", "-c", block]
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=printed)
    return folder


def test_data_bin(folder: Path) -> None:
    data = DataBin(folder / "data-bin" / "mine")
    assert data.splits == ["train", "test"] and len(data.images) == 2
    assert data.labels == ["red", "blue", "yes", "no"]
    train, test = data.split("train"), data.split("test")
    assert len(train) == 4 and test.sample_id(1) == "q2" and test.columns == []
    np.testing.assert_allclose(train.value("scores", 1), [0.6])
    assert data.dictionary.string(test.text(0)) == "Is it red?"
    assert "Is it red?" in (folder / "samples.html").read_text()


def test_shared_tokenizer(folder: Path) -> None:
    one, two = (DataBin(folder / "data-bin" / name) for name in ("mine", "mine-2"))
    assert one.tokenizer.fingerprint == two.tokenizer.fingerprint


def test_trained_and_asked(folder: Path) -> None:
    lines = (folder / "printed.txt").read_text(encoding="utf-8").splitlines()
    best = lines[lines.index("my-data/pictures/red.jpg:") + 1].split()
    assert best[1] == "red" and float(best[0]) > 0.7
    results = (folder / "results" / "mine" / "results.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["id"] for line in results.splitlines()] == ["q1", "q2"]


def test_documented_way_to_read_a_pack(folder: Path) -> None:
    text = (ROOT / "docs" / "data_format.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)[0]
    check = "\nassert data == open('my-data/pictures/red.jpg', 'rb').read()\n"
    subprocess.run([sys.executable, "-c", code + check], cwd=folder, check=True)
