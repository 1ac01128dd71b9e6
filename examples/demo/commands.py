"""The commands of the demonstration, as a user would type them in the root of the checkout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.demo.progress import TrainingProgress, bars
from examples.demo.raw import RawFolders
from examples.demo.stages import ROOT, Stage

SPLIT = "valid"  # val2014: neither its pictures nor its handwriting are in training


@dataclass(frozen=True)
class Settings:
    """What a run of the demonstration may choose."""

    image_size: int = 64  # pixels
    batch_size: int = 32
    pretraining_updates: int = 1100
    vqa_updates: int = 1800
    pretraining_lr: float = 1e-3
    vqa_lr: float = 3e-4  # a higher one makes the model forget what words mean in pictures
    vocab_size: int = 220
    seed: int = 1


@dataclass(frozen=True)
class Places:
    """Where everything of a run lies."""

    out: Path

    @property
    def raw(self) -> Path:
        return self.out / "raw"

    @property
    def captions(self) -> Path:
        return self.out / "data-bin" / "coco"

    @property
    def questions(self) -> Path:
        return self.out / "data-bin" / "vqa"

    @property
    def shuffled(self) -> Path:
        return self.out / "data-bin" / "vqa-shuffled"

    def checkpoints(self, name: str) -> Path:
        return self.out / "checkpoints" / name

    @property
    def tensorboard(self) -> Path:
        return self.out / "tensorboard"

    def answers(self, name: str) -> Path:
        """fairseq-generate's output for the "valid" or the "shuffled" pictures."""
        return self.out / "answers" / name / f"generate-{SPLIT}.txt"


def shown(path: Path) -> str:
    """The path from the root of the checkout, where it lies inside."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def world_stage(places: Places) -> Stage:
    command = ["python", "-m", "examples.demo.world", "--out", shown(places.raw)]
    command += ["--datasets", "coco", "vqav2"]
    title = "Raw files: pictures, captions and questions in official formats"
    return Stage("world", title, command, makes=[places.raw], show=bars())


def caption_stage(places: Places, raw: RawFolders, settings: Settings) -> Stage:
    assert raw.captions is not None
    command = ["python", "-m", "preprocess", "coco", "--raw", shown(raw.captions)]
    command += ["--image-root", shown(raw.images), "--dest", shown(places.captions)]
    command += ["--vocab-size", str(settings.vocab_size), *_resize(settings)]
    title = "Captions and pictures -> data-bin"
    return Stage("captions", title, command, makes=[places.captions], show=bars())


def question_stage(places: Places, raw: RawFolders, settings: Settings) -> Stage:
    command = ["python", "-m", "preprocess", "vqav2", "--raw", shown(raw.questions)]
    command += ["--image-root", shown(raw.images), "--dest", shown(places.questions)]
    if raw.captions:  # the same tokenizer, so that the pre-trained words fit
        command += ["--tokenizer", shown(places.captions)]
    else:
        command += ["--vocab-size", str(settings.vocab_size)]
    title = "Questions, answers and pictures -> data-bin"
    makes = [places.questions]
    return Stage("questions", title, command + _resize(settings), makes=makes, show=bars())


def _resize(settings: Settings) -> list[str]:
    """Photographs shrink when packed; pictures that are small already stay as they came."""
    return ["--resize", str(settings.image_size)]


def pretraining_stage(places: Places, settings: Settings) -> Stage:
    command = _train(places.captions, "vlp_mlm_itm", "mlm_itm", settings)
    command += ["--lr", f"{settings.pretraining_lr:g}"]
    # many masked words and negatives from the batch: more to learn from each picture
    command += ["--itm-negatives", "batch", "--mask-prob", "0.4"]
    return _training(
        "pretraining",
        "Pre-training: masked words and image-text matching",
        command,
        places,
        settings.pretraining_updates,
    )


def vqa_stage(places: Places, settings: Settings, pretrained: bool) -> Stage:
    command = _train(places.questions, "vqa", "vqa", settings)
    command += ["--lr", f"{settings.vqa_lr:g}", "--head-lr-multiplier", "5"]
    # crops, as in the paper, would change the answers of "how many" and "on the left"
    command += ["--train-transform", "square"]
    if pretrained:
        checkpoint = places.checkpoints("pretraining") / "checkpoint_last.pt"
        command += ["--finetune-from-model", shown(checkpoint)]
    title = "Fine-tuning: visual question answering"
    return _training("vqa", title, command, places, settings.vqa_updates)


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


def generate_stage(places: Places, name: str) -> Stage:
    """Answers to the held-out questions, with their own pictures or with shuffled ones."""
    data = places.questions if name == SPLIT else places.shuffled
    title = "Answers to held-out questions" + ("" if name == SPLIT else ", pictures shuffled")
    checkpoint = places.checkpoints("vqa") / "checkpoint_last.pt"
    command = ["fairseq-generate", shown(data), "--user-dir", "user_dir", "--cpu", "--task", "vqa"]
    command += ["--path", shown(checkpoint), "--gen-subset", SPLIT, "--scoring", "vqa_accuracy"]
    command += ["--batch-size", "128", "--required-batch-size-multiple", "1"]
    command += ["--nbest", "3", "--beam", "3", "--num-workers", "1"]
    command += ["--results-path", shown(places.answers(name).parent)]
    makes = [places.answers(name).parent]
    return Stage(f"answers-{name}", title, command, makes=makes, show=_generate_line)


def _generate_line(line: str) -> str | None:
    """How many and how fast; the answers and the score go to a file."""
    return line.split(":", 2)[-1].strip() if "Translated" in line else None


def shuffle_stage(places: Places) -> Stage:
    command: Sequence[str] = [
        *("python", "-m", "examples.demo.shuffle_images"),
        *(shown(places.questions), shown(places.shuffled), "--split", SPLIT),
    ]
    title = "A copy of the questions with other pictures"
    return Stage("shuffle", title, command, makes=[places.shuffled])
