"""The notebook, run by a real kernel from its first cell to its last."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

from tests import support

NOTEBOOK = support.ROOT / "examples" / "analysis" / "look_inside.ipynb"


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_it_answers_and_draws(
    notebook: nbformat.NotebookNode, vqa_checkpoint: Path, vqa_bin: Path, monkeypatch
) -> None:
    settings = notebook.cells[1]
    before = settings.source
    for shown, ours in (
        ('"../../demo-out/checkpoints/vqa/checkpoint_last.pt"', repr(str(vqa_checkpoint))),
        ('"../../demo-out/data-bin/vqa"', repr(str(vqa_bin))),
    ):
        assert shown in settings.source
        settings.source = settings.source.replace(shown, ours)
    for name in ("PYTHONPATH", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, support.environment()[name])
    monkeypatch.delenv("MPLBACKEND", raising=False)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=os.fspath(NOTEBOOK.parent))
    settings.source = before
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    printed = {"stdout": "", "stderr": ""}
    for output in outputs:
        if output.output_type == "stream":
            printed[output.name] += output.text
    assert "what colour is the square in the picture ?" in printed["stdout"]
    assert "image  layer 3:  V2 0." in printed["stdout"]
    assert "DEBUG" not in printed["stderr"] and "INFO" not in printed["stderr"]
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        for output in outputs
        if output.output_type == "execute_result" and "image/png" in output.data
    ]
    assert len(pictures) == 6  # the picture asked about, and five figures
    assert all(figure.width > 300 for figure in pictures[1:])
