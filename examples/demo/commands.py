"""The commands of the demonstration, as a user would type them in the root of the checkout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.demo.progress import TrainingProgress, bars
from examples.demo.raw import RawFolders
from examples.demo.stages import ROOT, Stage

SPLIT = "valid"  # neither its images nor its handwriting are in training
COCO_WORLD = ("coco", "vqav2")  # what pre-training and VQA read


@dataclass(frozen=True)
class Settings:
    """What a run of the demonstration may choose."""

    image_size: int = 64  # pixels
    batch_size: int = 32
    pretraining_updates: int = 1200
    pretraining_lr: float = 1e-3
    finetuning_updates: int | None = None  # None: the task's own
    finetuning_lr: float | None = None
    vocab_size: int = 220
    seed: int = 1


@dataclass(frozen=True)
class Places:
    """Where everything of a run lies."""

    out: Path

    @property
    def raw(self) -> Path:
        """Raw files of pre-training and VQA."""
        return self.out / "raw"

    def world(self, task: str) -> Path:
        """Raw files of another task."""
        return self.out / f"raw-{task}"

    @property
    def captions(self) -> Path:
        return self.out / "data-bin" / "coco"

    def data(self, task: str) -> Path:
        return self.out / "data-bin" / task

    def shuffled(self, task: str) -> Path:
        return self.out / "data-bin" / f"{task}-shuffled"

    def checkpoints(self, name: str) -> Path:
        return self.out / "checkpoints" / name

    @property
    def tensorboard(self) -> Path:
        return self.out / "tensorboard"

    def results(self, task: str) -> Path:
        """The table of a task, and what fairseq-generate wrote for it."""
        return self.out / "results" / task

    def answers(self, task: str, name: str) -> Path:
        """fairseq-generate's output for the "valid" or the "shuffled" images."""
        return self.results(task) / name / f"generate-{SPLIT}.txt"


def shown(path: Path) -> str:
    """The path from the root of the checkout, where it lies inside."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def world_stage(name: str, dest: Path, datasets: Sequence[str]) -> Stage:
    """Raw files of some datasets, in a folder of their own."""
    command = ["python", "-m", "examples.demo.world", "--out", shown(dest), "--datasets", *datasets]
    title = f"Raw files in official formats: {', '.join(datasets)}"
    return Stage(name, title, command, makes=[dest], show=bars())


def caption_stage(places: Places, raw: RawFolders, settings: Settings) -> Stage:
    assert raw.captions is not None
    command = ["python", "-m", "preprocess", "coco", "--raw", shown(raw.captions)]
    command += ["--image-root", shown(raw.images), "--dest", shown(places.captions)]
    command += ["--vocab-size", str(settings.vocab_size), *_resize(settings)]
    title = "Captions and images -> data-bin"
    return Stage("captions", title, command, makes=[places.captions], show=bars())


def data_stage(
    task: str, dataset: str, raw: Path, images: Path, places: Places, settings: Settings,
    pretrained: bool,
) -> Stage:  # fmt: skip
    """A task's raw files -> data-bin, with the captions' tokenizer where there is pre-training."""
    command = ["python", "-m", "preprocess", dataset, "--raw", shown(raw)]
    command += ["--image-root", shown(images), "--dest", shown(places.data(task))]
    if pretrained:  # so that the pre-trained words fit
        command += ["--tokenizer", shown(places.captions)]
    else:
        command += ["--vocab-size", str(settings.vocab_size)]
    title = "Texts, labels and images -> data-bin"
    makes = [places.data(task)]
    return Stage(f"{task}-data", title, command + _resize(settings), makes=makes, show=bars())


def _resize(settings: Settings) -> list[str]:
    """Photographs shrink when packed; images that are small already stay as they came."""
    return ["--resize", str(settings.image_size)]


def pretraining_stage(places: Places, settings: Settings) -> Stage:
    command = _train(places.captions, "vlp_mlm_itm", "mlm_itm", settings)
    command += ["--lr", f"{settings.pretraining_lr:g}"]
    # many masked words and negatives from the batch: more to learn from each image
    command += ["--itm-negatives", "batch", "--mask-prob", "0.4"]
    # random encoders: without contrast, matching is at chance for hundreds of updates and may stall
    command += ["--itc"]
    return _training(
        "pretraining",
        "Pre-training: masked words, image-text matching and contrast",
        command,
        places,
        settings.pretraining_updates,
    )


def finetuning_stage(
    task: str, criterion: str, updates: int, lr: float, places: Places, settings: Settings,
    pretrained: bool,
) -> Stage:  # fmt: skip
    """fairseq-train on a task's data-bin, from the pre-trained checkpoint if there is one."""
    command = _train(places.data(task), task, criterion, settings)
    command += ["--lr", f"{lr:g}", "--head-lr-multiplier", "5"]
    # crops, as in the papers, would change how many there are and what is on the left
    command += ["--train-transform", "square"]
    if pretrained:
        checkpoint = places.checkpoints("pretraining") / "checkpoint_last.pt"
        command += ["--finetune-from-model", shown(checkpoint)]
    return _training(task, f"Fine-tuning: {task}", command, places, updates)


def _train(data: Path, task: str, criterion: str, settings: Settings) -> list[str]:
    command = ["fairseq-train", shown(data), "--user-dir", "user_dir", "--cpu"]
    command += ["--task", task, "--criterion", criterion, "--arch", "managertower_tiny"]
    command += ["--image-size", str(settings.image_size), "--max-text-len", "32"]
    command += ["--dropout", "0", "--attention-dropout", "0", "--encoder-dropout", "0"]
    command += ["--manager-noise", "0"]
    command += ["--optimizer", "adamw", "--clip-norm", "1"]
    command += ["--lr-scheduler", "linear", "--warmup-ratio", "0.1"]
    command += ["--batch-size", str(settings.batch_size), "--required-batch-size-multiple", "1"]
    return [*command, "--seed", str(settings.seed), "--num-workers", "1"]


def _training(name: str, title: str, command: list[str], places: Places, updates: int) -> Stage:
    save = places.checkpoints(name)
    logs = places.tensorboard / name
    command += ["--max-update", str(updates), "--save-dir", shown(save)]
    command += ["--no-epoch-checkpoints", "--save-interval-updates", "300"]
    command += ["--keep-interval-updates", "1", "--validate-after-updates", str(updates)]
    command += ["--tensorboard-logdir", shown(logs), "--log-format", "json"]
    command += ["--log-interval", "50"]
    show = TrainingProgress(updates)
    return Stage(name, title, command, makes=[save, logs], resumes=True, show=show)


def generate_stage(
    task: str, name: str, scoring: str, places: Places, *options: str, nbest: int = 3
) -> Stage:
    """Answers about the held-out images ("valid"), or with other images ("shuffled")."""
    data = places.data(task) if name == SPLIT else places.shuffled(task)
    title = "Answers to the held-out split" + ("" if name == SPLIT else ", images shuffled")
    checkpoint = places.checkpoints(task) / "checkpoint_last.pt"
    results = places.answers(task, name).parent
    command = ["fairseq-generate", shown(data), "--user-dir", "user_dir", "--cpu", "--task", task]
    command += ["--path", shown(checkpoint), "--gen-subset", SPLIT, "--scoring", scoring]
    command += ["--batch-size", "128", "--required-batch-size-multiple", "1"]
    command += ["--nbest", str(nbest), "--beam", str(nbest), "--num-workers", "1"]
    command += ["--results-path", shown(results), *options]
    return Stage(f"{task}-{name}", title, command, makes=[results], show=_generate_line)


def _generate_line(line: str) -> str | None:
    """How many and how fast; the answers and the score go to a file."""
    return line.split(":", 2)[-1].strip() if "Translated" in line else None


def shuffle_stage(task: str, places: Places) -> Stage:
    """A copy of a task's data-bin in which every text stands beside other images."""
    source, dest = places.data(task), places.shuffled(task)
    command: Sequence[str] = [
        *("python", "-m", "examples.demo.shuffle_images"),
        *(shown(source), shown(dest), "--split", SPLIT),
    ]
    title = "A copy of the data with other images"
    return Stage(f"{task}-shuffle", title, command, makes=[dest])
