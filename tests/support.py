"""What several tests need: a small raw data set, preprocessing, and fairseq's own commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
USER_DIR = ROOT / "user_dir"
COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220)}
TINY = [
    "--arch", "managertower_tiny", "--image-size", "32", "--max-text-len", "12",
    "--optimizer", "adamw", "--lr", "0.001", "--lr-scheduler", "linear",
]  # fmt: skip


def draw_square(path: Path, colour: str, seed: int) -> None:
    """A 40x32 picture with one square at a random place."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(90, 110, (32, 40, 3), dtype=np.uint8), "RGB")
    x, y = int(rng.integers(2, 22)), int(rng.integers(2, 14))
    ImageDraw.Draw(image).rectangle((x, y, x + 14, y + 14), fill=COLOURS[colour])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_raw(folder: Path, sizes: dict[str, int], with_answers: bool = True) -> Path:
    """A user's own data as JSON lines: a coloured square, and a question or a caption on it."""
    number = 0
    for split, size in sizes.items():
        lines = []
        for index in range(size):
            colour = list(COLOURS)[index % len(COLOURS)]
            name = f"images/{split}-{index}.png"
            draw_square(folder / name, colour, number)
            number += 1
            record: dict[str, object] = {"image": name}
            if with_answers:
                record["text"] = "what colour is the square in the picture ?"
                record["answers"] = [colour] * 9 + ["grey"]
            else:
                record["text"] = f"a {colour} square on a grey and noisy ground"
            lines.append(json.dumps(record))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def python(*args: object, check: bool = True, **kwargs: object) -> subprocess.CompletedProcess:
    """Run this Python on the checkout; with ``check`` a failure shows the command's own output."""
    done = subprocess.run(
        [sys.executable, *map(str, args)],
        capture_output=True,
        text=True,
        cwd=kwargs.pop("cwd", ROOT),
        env=environment(),
        timeout=600,
        **kwargs,  # type: ignore[call-overload]
    )
    if check and done.returncode:
        raise AssertionError(f"{args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def fairseq_arguments(command: str, args: Sequence[object]) -> list[str]:
    """What follows ``python`` to run fairseq's own command, ``train`` for fairseq-train."""
    call = f"from fairseq_cli.{command} import cli_main; cli_main()"
    return ["-c", call, *map(str, args)]


def fairseq(command: str, *args: object, check: bool = True) -> subprocess.CompletedProcess:
    """fairseq-train, -validate, -generate or -hydra-train as a process of its own."""
    user_dir = [] if command == "hydra_train" else ["--user-dir", USER_DIR, "--cpu"]
    return python(*fairseq_arguments(command, [*args, *user_dir]), check=check)


def train(data: Path, save_dir: Path, *args: object, check: bool = True):
    """fairseq-train of a tiny model with the log lines that tests read."""
    return fairseq(
        "train", data, *TINY, "--save-dir", save_dir, "--batch-size", 4, "--log-format", "json",
        "--log-interval", 1, "--required-batch-size-multiple", 1, "--no-epoch-checkpoints",
        "--num-workers", 0, *args, check=check,
    )  # fmt: skip


def logged(output: str, tag: str) -> list[dict]:
    """The JSON records that fairseq logged under a tag: train_inner, train, valid."""
    records = []
    for line in output.splitlines():
        head, brace, tail = line.partition("{")
        if brace and f"| {tag} |" in head:
            records.append(json.loads(brace + tail))
    return records
