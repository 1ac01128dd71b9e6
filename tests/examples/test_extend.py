"""The commands of examples/extend run in a folder outside of the checkout, from raw data on."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import ElectraConfig

from tests import support
from tests.support import ROOT

PAGE = ROOT / "examples" / "extend"
COLOURS = ("red", "green", "blue", "red")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the user's own parts and raw data; a caption's grade depends on its image."""
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(PAGE / "my_parts", folder / "my_parts")
    (folder / "raw").mkdir()
    for number, colour in enumerate(COLOURS):
        support.draw_square(folder / "raw" / f"{number}.png", colour, number)
    for split, count in {"train": 12, "valid": 5}.items():
        with open(folder / "raw" / f"{split}.csv", "w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["id", "image", "caption", "grade"])
            for i in range(count):
                table.writerow([f"{split}{i}", f"{i % 4}.png", f"a {COLOURS[i % 3]} square",
                                1 + (i + i // 3) % 5])  # fmt: skip
    return folder


def commands() -> list[str]:
    """All commands of the page, in order."""
    text = (PAGE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return "\n".join(blocks).replace("\\\n", " ").strip().splitlines()


@pytest.fixture(scope="module")
def outputs(workplace: Path) -> list[str]:
    """What each command of the page prints; all run in one process, which imports once."""
    lines = [line.replace("python ", "") for line in commands()]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("run_commands.py"), *lines],
        cwd=workplace, env=support.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.split("=== done\n")


@pytest.mark.slow
def test_the_page_runs_end_to_end(outputs: list[str], workplace: Path) -> None:
    assert len(outputs) == len(commands()) + 1
    score = json.loads((workplace / "results/rating/score.json").read_text())
    assert score["scoring"] == "nearness" and 0 < score["score"] <= 100 and score["scored"] == 5
    generated = next(output for output in outputs if "Generate valid" in output)
    assert f"accuracy {score['score']:.2f}" in generated
    assert list((workplace / "figures").glob("*.png"))


@pytest.mark.slow
def test_python_and_names(outputs: list[str], workplace: Path) -> None:
    """from_pretrained takes the folder; help and errors know the user's names."""
    electra = ElectraConfig(
        vocab_size=40, embedding_size=32, hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    electra.save_pretrained(workplace / "electra")
    code = """
import argparse, json
from mt_fairseq import ManagerTower
model = ManagerTower.from_pretrained("exported/rating", user_dir="my_parts")
best = model.classify("raw/0.png", "a red square", topk=2)
print(json.dumps([len(best), type(model.model.network.text_encoder).__name__]))

from mt_fairseq.analysis.flops import Inputs, build_on_meta
sizes = dict(text_encoder="electra", encoder_weights="random", vision_width=32, vision_heads=4,
             vision_layers=2, hidden_size=32, cross_modal_heads=4, num_cross_modal_layers=2)
tower = build_on_meta("bridgetower_tiny", Inputs((32, 32), 8, 40), bridge_type="max",
                      text_width=0, text_layers=0, text_heads=0, text_positions=0, **sizes)
layer = tower.network.cross_modal.text_aggregations[1].join
print(type(layer).__name__, type(tower.network.text_encoder.embeddings).__name__)

from mt_fairseq.models.two_tower.managertower import ManagerTowerConfig
print(ManagerTowerConfig()._get_help("manager_type"))
from mt_fairseq.registries import register_manager
try:
    register_manager("gated")(object)
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True,
                          text=True, check=False, env=support.environment())  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    assert json.loads(printed[0])[0] == 2
    assert printed[1] == "Maximum ElectraEmbeddings"
    assert "cross-attention, gated" in printed[2]
    assert "there is a manager 'gated' already" in printed[3] and "aaue" in printed[3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["mt_fairseq.predict", "checkpoints/rating/checkpoint_last.pt", "--image", "raw/0.png",
          "--text", "a"], "name the --user-dir of its training"),
        (["preprocess", "ratings", "--raw", "raw", "--dest", "x", "--user-dir", "none"],
         "--user-dir none: no folder with an __init__.py"),
    ],
)  # fmt: skip
def test_without_the_folder(
    outputs: list[str], workplace: Path, command: list[str], message: str
) -> None:
    done = support.python("-m", *command, check=False, cwd=workplace)
    assert done.returncode == 2 and message in done.stderr
    assert "Traceback" not in done.stderr
