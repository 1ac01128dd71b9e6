"""The commands of one run of the sweep: train a tiny model, then answer the held-out questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from examples.demo.progress import TrainingProgress
from examples.demo.stages import Stage

SPLIT = "valid"

MODELS: dict[str, tuple[str, list[str]]] = {
    "meter": ("METER", ["--arch", "meter_tiny"]),
    "bridgetower": ("BridgeTower", ["--arch", "bridgetower_tiny"]),
    "sae": ("SAE", ["--arch", "managertower_tiny", "--manager-type", "sae"]),
    "sae-split": ("SAE, split", ["--arch", "managertower_tiny", "--manager-type", "sae-split"]),
    "saue": ("SAUE", ["--arch", "managertower_tiny", "--manager-type", "saue"]),
    "aaue": ("AAUE", ["--arch", "managertower_tiny", "--manager-type", "aaue"]),
}


def model_options(name: str) -> tuple[str, list[str]]:
    """Title and options of a model; of a manager of one's own, its name and its type."""
    if name in MODELS:
        return MODELS[name]
    return name, ["--arch", "managertower_tiny", "--manager-type", name]


DEFAULT_MODELS = ("meter", "bridgetower", "sae", "saue", "aaue")


@dataclass(frozen=True)
class Budget:
    """What every model gets alike."""

    data: Path
    updates: int = 1000
    batch_size: int = 32
    lr: float = 5e-4
    image_size: int = 64
    user_dir: str = "user_dir"


@dataclass(frozen=True)
class Run:
    """One model with one seed."""

    out: Path
    model: str
    seed: int

    @property
    def folder(self) -> Path:
        return self.out / "runs" / f"{self.model}-seed{self.seed}"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def answers(self) -> Path:
        """fairseq-generate's output."""
        return self.folder / "answers" / f"generate-{SPLIT}.txt"


def train_stage(run: Run, budget: Budget) -> Stage:
    """From random weights; the order of the data follows from the seed, alike for all models."""
    title, options = model_options(run.model)
    command = ["fairseq-train", str(budget.data.resolve()), "--user-dir", budget.user_dir, "--cpu"]
    command += ["--task", "vqa", "--criterion", "vqa", *options, "--seed", str(run.seed)]
    command += ["--image-size", str(budget.image_size), "--max-text-len", "32"]
    command += ["--train-transform", "square", "--num-workers", "1"]
    command += ["--dropout", "0", "--attention-dropout", "0", "--encoder-dropout", "0"]
    command += ["--optimizer", "adamw", "--lr", f"{budget.lr:g}", "--clip-norm", "1"]
    command += ["--lr-scheduler", "linear", "--warmup-ratio", "0.1"]
    command += ["--max-update", str(budget.updates), "--batch-size", str(budget.batch_size)]
    command += ["--required-batch-size-multiple", "1", "--disable-validation"]
    command += ["--save-dir", str(run.checkpoints.resolve()), "--no-epoch-checkpoints"]
    command += ["--log-format", "json", "--log-interval", "100"]
    return Stage(
        "train",
        f"{title}, seed {run.seed}: training",
        command,
        makes=[run.checkpoints],
        resumes=True,
        show=TrainingProgress(budget.updates),
    )


def generate_stage(run: Run, budget: Budget) -> Stage:
    """Answers of the last checkpoint: nothing is chosen by looking at these questions."""
    command = ["fairseq-generate", str(budget.data.resolve())]
    command += ["--user-dir", budget.user_dir, "--cpu"]
    command += ["--task", "vqa", "--path", str((run.checkpoints / "checkpoint_last.pt").resolve())]
    command += ["--gen-subset", SPLIT, "--scoring", "vqa_accuracy", "--batch-size", "128"]
    command += ["--required-batch-size-multiple", "1", "--num-workers", "1"]
    command += ["--results-path", str(run.answers.parent.resolve())]
    title = f"{model_options(run.model)[0]}, seed {run.seed}: answers"
    makes = [run.answers.parent]
    return Stage("answers", title, command, makes=makes, show=lambda line: None)
