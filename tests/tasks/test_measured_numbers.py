"""What half precision leaves as it is: scores, weights, and the sums that are logged."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import options, tasks, utils
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from torch import Tensor, nn

import mt_fairseq.plugin  # noqa: F401  registers tasks, models and criterions
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.models.checkpoint import load_checkpoint
from tests.albef.test_fine_tuning import MODEL
from tests.support import TINY, USER_DIR, logged
from tests.tasks import rank
from tests.tasks.colours import Target, colour_bin

CLASSES = ["red", "blue", "green"]
# 0.9, 0.6 and 0.3 of VQA's soft scores; none of them is a number in half precision
ANSWERS: list[Target] = [
    ["red"] * 3 + ["blue"] * 2 + ["green"] + ["grey"] * 4,
    ["blue"] * 3 + ["green"] * 2 + ["red"] + ["grey"] * 4,
    ["green"] * 3 + ["red"] * 2 + ["blue"] + ["grey"] * 4,
    ["red"] * 2 + ["blue"] * 3 + ["green"] * 3 + ["grey"] * 2,
    ["green"] * 2 + ["blue"] * 2 + ["red"] * 2 + ["grey"] * 4,
]
ALBEF = [x for x in MODEL if x != "--disable-validation"]
TOWERS = [*TINY, "--num-workers", 0, "--required-batch-size-multiple", 1, "--log-format", "json"]
KINDS = {
    "vqa": ["--task", "vqa", "--criterion", "vqa", *TOWERS],
    "albef_vqa": ["--task", "albef_vqa", "--criterion", "albef_vqa", *ALBEF],
}


@pytest.fixture(scope="module")
def soft_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("soft")
    return colour_bin(folder / "bin", {"train": ANSWERS, "valid": ANSWERS * 3}, CLASSES)


@pytest.fixture(scope="module")
def trained(soft_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The folder of checkpoints, and what training in half precision printed."""
    folder = tmp_path_factory.mktemp("half")
    commands: dict[str, list[object]] = {}
    for kind, kind_options in KINDS.items():
        for precision in ("bf16", "fp16"):
            name = f"{kind} {precision}"
            commands[name] = [
                "train", soft_bin, *kind_options, f"--{precision}", "--save-dir", folder / name,
                "--max-update", 2, "--batch-size", 5,
            ]  # fmt: skip
        commands[f"{kind} validate"] = [
            "validate", soft_bin, *kind_options[:2], "--path",
            folder / f"{kind} fp16" / "checkpoint_last.pt", "--valid-subset", "valid",
            "--batch-size", 5, "--num-workers", 0, "--log-format", "json", "--fp16",
        ]  # fmt: skip
    return folder, rank.run(folder / "commands", commands)


def outputs(checkpoint: Path, data: Path, precision: str, **inputs: Any) -> Iterator[Any]:
    """The model's outputs in half precision for each batch of the split valid, and the batch."""
    loaded = load_checkpoint(checkpoint)
    loaded.task.data_bin = DataBin(data)
    model = loaded.model.to(torch.bfloat16 if precision == "bf16" else torch.float16)
    loaded.task.load_dataset("valid")
    dataset = loaded.task.datasets["valid"]
    for start in range(0, len(dataset), 5):
        batch = dataset.collater([dataset[i] for i in range(start, start + 5)])
        with torch.no_grad():
            yield model(**batch["net_input"], **inputs), batch


def last(printed: str, name: str) -> float:
    return float(logged(printed, "valid")[-1][f"valid_{name}"])


@pytest.mark.parametrize("precision", ["bf16", "fp16", "validate"])
def test_vqa_score(precision: str, soft_bin: Path, trained: tuple[Path, dict]) -> None:
    """The same logits, scored in float64."""
    own = precision if precision == "bf16" else "fp16"
    checkpoint = trained[0] / f"vqa {own}" / "checkpoint_last.pt"
    split, scores = DataBin(soft_bin).split("valid"), []
    for output, batch in outputs(checkpoint, soft_bin, own, classification_head_name="vqa"):
        for index, best in zip(batch["id"].tolist(), output.logits.argmax(dim=1), strict=True):
            labels = split.value("labels", index).tolist()
            scores.append(float(split.value("scores", index)[labels.index(int(best))]))
    expected = 100 * sum(scores) / len(scores)
    assert len(scores) == len(split) and expected > 20
    assert last(trained[1][f"vqa {precision}"], "vqa_score") == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16", "validate"])
def test_weights_of_answers(precision: str, soft_bin: Path, trained: tuple[Path, dict]) -> None:
    """ALBEF's loss with the shares of the annotators as they are, in float64."""
    own = precision if precision == "bf16" else "fp16"
    checkpoint = trained[0] / f"albef_vqa {own}" / "checkpoint_last.pt"
    split, total = DataBin(soft_bin).split("valid"), 0.0
    for output, batch in outputs(checkpoint, soft_bin, own, step="answers"):
        logs = output.logits.double().log_softmax(dim=-1)[:, :-1]
        tokens = batch["net_input"]["answer_tokens"][:, 1:]
        pad = tokens == DataBin(soft_bin).dictionary.pad()
        by_answer = -logs.gather(2, tokens[:, :, None])[:, :, 0].masked_fill(pad, 0).sum(dim=1)
        shares = []
        for index in batch["id"].tolist():
            given = split.value("answers", index)
            counts = {answer: given.count(answer) for answer in given}
            shares += sorted(counts.values(), reverse=True)
        assert len(shares) == len(by_answer)
        total += float((torch.tensor(shares, dtype=torch.float64) / 10 * by_answer).sum())
    found = last(trained[1][f"albef_vqa {precision}"], "loss")
    assert found == pytest.approx(total / len(split), abs=6e-4)


# --- every criterion ---

TOWER_STEPS: dict[str, list[object]] = {
    "vqa": ["--task", "vqa"],
    "classification": ["--task", "snli_ve"],
    "mlm_itm": ["--task", "vlp_mlm_itm", "--itc", "--itm-negatives", "hard"],
    "itc_itm": ["--task", "retrieval"],
    "itm_ranking": ["--task", "retrieval", "--false-texts", 2],
}
ALBEF_STEPS: dict[str, list[object]] = {
    "albef_vqa": ["--task", "albef_vqa"],
    "albef_classification": ["--task", "snli_ve"],
    "albef_pretrain": ["--task", "albef_pretrain"],
    "albef_retrieval": ["--task", "retrieval"],
    "albef_pairs": ["--task", "albef_pairs"],
}
COMMON: dict[str, list[object]] = {
    **{name: [*step, *TOWERS] for name, step in TOWER_STEPS.items()},
    **{name: [*step, *ALBEF, "--constant-alpha", "--queue-size", 10]
       for name, step in ALBEF_STEPS.items()},
}  # fmt: skip


@pytest.fixture(scope="module")
def bins(
    soft_bin: Path, caption_bin: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A data-bin for each task."""
    folder = tmp_path_factory.mktemp("classes")
    classes = colour_bin(folder / "bin", {"train": CLASSES * 2, "valid": CLASSES}, CLASSES)
    questions = dict.fromkeys(("vqa", "albef_vqa"), soft_bin)
    captions = ("vlp_mlm_itm", "retrieval", "albef_pretrain", "albef_pairs")
    return {**questions, "snli_ve": classes, **dict.fromkeys(captions, caption_bin)}


def open_run(criterion: str, bins: dict[str, Path], folder: Path) -> tuple[Any, nn.Module, Any]:
    """A batch of five, the model in bfloat16 and the criterion, as fairseq-train makes them."""
    name = str(COMMON[criterion][1])
    arguments = [bins[name], *COMMON[criterion], "--criterion", criterion, "--bf16", "--cpu",
                 "--user-dir", USER_DIR, "--save-dir", folder]  # fmt: skip
    parser = options.get_training_parser()
    args = options.parse_args_and_arch(parser, input_args=[str(x) for x in arguments])
    cfg = convert_namespace_to_omegaconf(args)
    torch.manual_seed(1)
    task = tasks.setup_task(cfg.task)
    model, loss = task.build_model(cfg.model), task.build_criterion(cfg.criterion)
    task.load_dataset("train")
    dataset = task.datasets["train"]
    return dataset.collater([dataset[i] for i in range(5)]), model.bfloat16(), loss


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


class Widened(nn.Module):
    """A model whose outputs in half precision are handed on in float64."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return widened(self.model(*args, **kwargs))


def widened(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.dtype == torch.bfloat16 else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: widened(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return type(value)(**parts)
    return value


def test_all_criterions_are_here() -> None:
    own = [n for n, kind in CRITERION_REGISTRY.items() if kind.__module__.startswith("mt_fairseq.")]
    assert sorted(own) == sorted(COMMON)


@pytest.mark.parametrize("criterion", COMMON)
def test_logged_sums(criterion: str, bins: dict[str, Path], tmp_path: Path) -> None:
    """float32 at least, and the same as with outputs in float64 and a batch that was not cast."""
    batch, model, loss = open_run(criterion, bins, tmp_path)
    kinds = {tensor.dtype for tensor in tensors(batch)}
    assert kinds <= {torch.int64, torch.uint8, torch.bool, torch.float64}
    half = utils.apply_to_sample(
        lambda tensor: tensor.bfloat16() if tensor.dtype == torch.float32 else tensor, batch
    )
    logs = []
    for sample, used in ((half, copy.deepcopy(model)), (batch, Widened(model))):
        torch.manual_seed(2)
        value, _, log = loss(used.train(), sample)
        assert value.dtype in (torch.float32, torch.float64) and value.requires_grad
        floats = [tensor for tensor in tensors(log) if tensor.is_floating_point()]
        assert floats and all(tensor.dtype != torch.bfloat16 for tensor in floats)
        logs.append({name: float(number) for name, number in log.items()})
    assert logs[0] == pytest.approx(logs[1], rel=1e-5)
