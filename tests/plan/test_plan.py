"""``python -m mt_fairseq.plan``: what it counts, what it prints, and one measured peak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mt_fairseq.analysis.flops import Inputs, build_on_meta, count_multiply_adds
from mt_fairseq.errors import UserError
from mt_fairseq.plan.__main__ import main
from mt_fairseq.plan.counting import count, count_parts
from mt_fairseq.plan.memory import GB, Memory, estimate
from mt_fairseq.plan.passes import passes_of
from mt_fairseq.plan.planner import make_plan, read_data
from mt_fairseq.plan.recipe import CHECKPOINTING, Recipe, read_recipe
from tests.support import ROOT, environment

WORLD = "distributed_training.distributed_world_size"


def plan(capsys: pytest.CaptureFixture, *args: object) -> str:
    assert main([str(arg) for arg in args]) == 0
    return capsys.readouterr().out


def line(printed: str, name: str) -> str:
    return next(x for x in printed.splitlines() if x.strip().startswith(name)).split(name, 1)[1]


# --- counting ---


def test_operations_are_those_of_the_budget() -> None:
    """The parts add up to what torch counts of a pooled pair; the budget's pass computes more.

    More are layer norms, and all positions of the last cross-modal layer.
    """
    inputs = Inputs((96, 96), 20, 200)
    model = build_on_meta("managertower_tiny", inputs)
    parts = count_parts(model, inputs.tokens)
    whole = (parts.text + parts.image + parts.pair).operations
    tokens = torch.ones(1, inputs.tokens, dtype=torch.long, device="meta")
    images = torch.zeros(1, 3, *inputs.image_size, device="meta")
    with FlopCounterMode(display=False) as counter:
        text, image = model.encode_text(tokens), model.encode_images(images)
        model.network.pool(model.network.fuse(text, image, first_only=True))
    assert whole == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert 0.8 < whole / 2 / count_multiply_adds(model, inputs) < 1


def test_kept_bytes_of_known_operations() -> None:
    """A linear layer keeps its input, GELU too; fused attention q, k, v, result and a norm."""
    with torch.device("meta"):
        layer = torch.nn.Linear(10, 30)
        x = torch.zeros(7, 10)
        q = torch.zeros(2, 3, 5, 4, requires_grad=True)
    hidden = count(lambda: torch.nn.functional.gelu(layer(x)), layer)
    assert hidden.kept == 4 * (7 * 10 + 7 * 30)
    assert hidden.operations == 2 * 7 * 10 * 30
    attend = torch.nn.functional.scaled_dot_product_attention
    fused = count(lambda: attend(q, q * 2, q * 3), layer)
    elements = 2 * 3 * 5 * 4
    assert fused.kept == 4 * (4 * elements + 2 * 3 * 5)


def test_half_precision_keeps_half() -> None:
    inputs = Inputs((32, 32), 12, 100)
    kept = [
        count_parts(build_on_meta("managertower_tiny", inputs).to(dtype).train(), 12).pair.kept
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert kept[1] == pytest.approx(kept[0] / 2, rel=0.15)  # masks and norms stay as they are


def test_checkpointed_layers_keep_their_inputs_and_run_again() -> None:
    inputs = Inputs((64, 64), 12, 100)
    plain, saving = (
        count_parts(
            build_on_meta("managertower_tiny", inputs, checkpoint_activations=on).train(), 12
        )
        for on in (False, True)
    )
    layers, positions, width, experts = 4, 17, 128, 3
    states = 4 * positions * width  # bytes
    assert layers * states <= saving.image.kept < plain.image.kept / 3
    # shared norms of the experts, which no graph but the checkpoint holds, are kept as well
    assert saving.pair.kept >= (experts + 2 * 3) * states
    for ours, theirs in ((saving.image, plain.image), (saving.pair, plain.pair)):
        assert ours.operations == theirs.operations
        assert 0.8 * theirs.operations < ours.repeated < theirs.operations
        assert 0 < ours.momentary < theirs.kept / 2
        assert theirs.repeated == theirs.momentary == 0


# --- memory ---


def test_memory_is_the_sum_of_its_parts() -> None:
    needs = estimate(100_000_000, 0.5 * GB, "bfloat16", gpus=8, picture_elements=1_000_000)
    assert needs.parameters == 100e6 * (2 + 2 + 4 + 4 + 4 + 4)
    assert needs.buffer == 100e6 * 2
    assert needs.sample == 0.6 * GB
    assert needs.gathered == 2 * 8 * 1e6 * 2
    assert needs.of_batch(10) == pytest.approx(2e9 + 0.2e9 + 1e9 + 10 * (0.6e9 + 0.032e9))
    single = estimate(100_000_000, 0.5 * GB, "float32", gpus=1, picture_elements=1_000_000)
    assert (single.parameters, single.buffer, single.gathered) == (1.6e9, 0, 0)


def test_largest_batch_leaves_a_share_free() -> None:
    needs = Memory(parameters=7e9, buffer=0, sample=0.5e9)
    assert needs.largest_batch(20e9) == 22  # 20 * 0.95 - 8 = 11
    assert needs.largest_batch(8e9) == 0


# Freed memory goes back at once, so that the peak is what was in use.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_MMAP_MAX_": "1000000"}


ALBEF_TINY = ["model._name=albef_tiny", "task.image_size=64", f"{WORLD}=1"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vqa/managertower_tiny", []),
        ("vqa/managertower_tiny", [f"+{CHECKPOINTING}=true"]),
        ("albef/snli_ve", ALBEF_TINY),
    ],
)
def test_estimate_is_near_the_measured_peak(name: str, options: list[str]) -> None:
    """Real steps of a tiny model with batches of 64: within a factor of 1.3."""
    recipe = read_recipe(name, options)
    planned = make_plan(recipe, read_data(recipe, 1000), 1, 64 * GB)
    needs = planned.memory
    expected = needs.parameters + needs.momentum + 64 * needs.sample
    done = subprocess.run(
        [sys.executable, "-m", "tests.plan.measure", name, "64", *options],
        capture_output=True, text=True, check=True, cwd=ROOT, env=environment() | GIVE_BACK,
        timeout=300,
    )  # fmt: skip
    measured = int(done.stdout.split()[-1])
    assert expected / 1.3 < measured < expected * 1.3


# --- passes of each task ---


def recipe_of(name: str, *overrides: str) -> Recipe:
    return read_recipe(name, list(overrides))


def test_passes() -> None:
    vqa = passes_of(recipe_of("vqa"), 50)
    assert (vqa.texts, vqa.images, vqa.pairs, vqa.heads) == (1, 1, 1, {"vqa": 1})
    whole = passes_of(recipe_of("pretraining"), 50)
    assert (whole.texts, whole.images, whole.most_images, whole.pairs) == (2, 1.5, 2, 2)
    assert whole.heads == {"mlm": 7, "itm": 1}  # 15 % of 48 words
    batch = passes_of(recipe_of("pretraining", "task.itm_negatives=batch"), 50)
    assert (batch.images, batch.pairs, batch.contrasts) == (1, 2, False)
    pairs = passes_of(recipe_of("nlvr2"), 50)
    assert (pairs.texts, pairs.images, pairs.pairs) == (1, 2, 2)
    retrieval = passes_of(recipe_of("flickr30k"), 40)
    assert (retrieval.texts, retrieval.images, retrieval.pairs) == (1, 1, 3)
    assert retrieval.contrasts and retrieval.gathers
    meter = ("+task.false_texts=15", "task.global_negatives=false")
    ranked = passes_of(recipe_of("flickr30k", *meter), 40)
    assert (ranked.texts, ranked.images, ranked.pairs, ranked.contrasts) == (16, 1, 16, False)


# --- the command ---


def test_vqa_on_eight_gpus(capsys: pytest.CaptureFixture) -> None:
    printed = plan(capsys, "vqa", "--gpus", 8, "--memory", 40, "--samples", 658_111)
    assert "task vqa, managertower_base, 352.9M parameters, 576x576 pixels, 50 tokens" in printed
    micro = int(line(printed, "micro-batch").split()[0])
    steps = int(line(printed, "accumulation").split()[-1])
    assert f"576 = 8 x {micro} x {steps}, the recipe's" in printed
    assert "1,143 an epoch, 11,430 in all = 10 epochs of 658,111 samples" in printed
    assert "685 updates" in line(printed, "warm-up")
    assert f"{WORLD}=8 dataset.batch_size={micro} optimization.update_freq=[{steps}]" in printed


TINY = ("vqa/managertower_tiny", "dataset.batch_size=576", "optimization.max_epoch=10",
        "--memory", 2, "--samples", 658_111)  # fmt: skip


def test_one_gpu_needs_more_steps_and_the_same_updates(capsys: pytest.CaptureFixture) -> None:
    printed = plan(capsys, *TINY, f"{WORLD}=1", "--gpus", 1)
    micro, steps = (
        int(part) for part in line(printed, "effective batch").split(",")[0].split()[4::2]
    )
    assert micro < 576 and micro * steps == 576
    assert "1,143 an epoch, 11,430 in all" in printed
    time = float(line(plan(capsys, *TINY, f"{WORLD}=1", "--gpus", 2), "time").split()[0])
    # printed to a tenth
    assert float(line(printed, "time").split()[0]) == pytest.approx(2 * time, abs=0.151)


@pytest.mark.parametrize(
    "recipe",
    [
        ("pretraining/bridgetower_large", "task.image_size=28"),
        ("pretraining", "model._name=bridgetower_tiny", "task.image_size=32"),
        ("pretraining", "model._name=meter_tiny", "task.image_size=32"),
    ],
)
def test_each_family_of_models(recipe: tuple[str, ...], capsys: pytest.CaptureFixture) -> None:
    printed = plan(capsys, *recipe, "--gpus", 8, "--memory", 40)
    assert "micro-batch" in printed and "TFLOP a sample" in printed


def test_what_checkpointed_activations_save_and_cost(capsys: pytest.CaptureFixture) -> None:
    """Larger batches, a third more time; and each plan names what the other would be."""
    off = plan(capsys, *TINY, f"{WORLD}=1", "--gpus", 1)
    on = plan(capsys, *TINY, f"{WORLD}=1", f"+{CHECKPOINTING}=true", "--gpus", 1)
    micro = [int(line(printed, "micro-batch").split()[0]) for printed in (off, on)]
    assert micro[1] > 1.5 * micro[0]
    operations = [float(line(printed, "time").split()[2]) for printed in (off, on)]
    assert 1.2 < operations[1] / operations[0] < 1.4
    for own, other, words in (
        (off, on, f"off; with +{CHECKPOINTING}=true micro-batch {micro[1]}, update_freq"),
        (on, off, f"on; without it micro-batch {micro[0]}, update_freq"),
    ):
        said = line(own, "checkpointing").strip()
        assert said.startswith(words)
        assert said.endswith(line(other, "time").split(";")[0].strip())


def test_a_batch_that_cannot_be_met_is_said(capsys: pytest.CaptureFixture) -> None:
    printed = plan(capsys, *TINY, f"{WORLD}=1", "--gpus", 7)
    assert "the recipe's 576 cannot be met exactly, this is the nearest" in printed
    assert line(printed, "effective batch").split()[0] == "574"


def test_as_many_are_contrasted_as_in_the_recipe(capsys: pytest.CaptureFixture) -> None:
    """64 captions see each other, 8 on each of 8 GPUs: so all 64 on one."""
    printed = plan(capsys, "flickr30k", "--gpus", 1, "--memory", 140, "--samples", 145_000)
    assert "64 samples with each other (accumulation adds none)\n" in printed
    assert "512 = 1 x 64 x 8, the recipe's" in printed
    assert "284 an epoch, 5,680 in all = 20 epochs" in printed


def test_data_bin_tells_samples_and_classes(vqa_bin: Path, capsys: pytest.CaptureFixture) -> None:
    printed = plan(
        capsys, "vqa/managertower_tiny", f"task.data={vqa_bin}", "optimization.max_epoch=3",
        "dataset.batch_size=8", "--gpus", 1, "--memory", 4,
    )  # fmt: skip
    assert f"3 an epoch, 9 in all = 3 epochs of 20 samples ({vqa_bin}: train)" in printed
    assert "optimization.max_update=9" in printed
    both = plan(
        capsys, "vqa/managertower_tiny", f"task.data={vqa_bin}", "+task.train_splits='train,valid'",
        "--gpus", 1, "--memory", 4,
    )  # fmt: skip
    assert f"of 27 samples ({vqa_bin}: train, valid)" in both


def test_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Without a number of GPUs in it, its batch is that of each GPU."""
    text = (ROOT / "examples/vqa/config/managertower_tiny.yaml").read_text()
    path = tmp_path / "config" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(text)
    printed = plan(capsys, path, "--gpus", 3, "--memory", 8)
    assert "96 = 3 x 32 x 1, the recipe's" in printed
    assert "1,000 in all (an epoch's: name task.data=DATA-BIN or --samples N)" in printed


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["vqa", "--gpus", "0", "--memory", "8"], "--gpus 0: must be at least 1"),
        (["vqa", "--gpus", "1", "--memory", "8", "--samples", "-3"], "--samples -3"),
        (["vqaa", "--gpus", "1", "--memory", "8"], "neither a .yaml file nor a recipe; .*vqa/"),
        (
            [TINY[0], "--gpus", "1", "--memory", "1"],
            "one sample of .* needs .* GB .*--memory is 1: .*checkpoint_activations=true",
        ),
        (
            ["vqa", "task.nonsense=1", "--gpus", "1", "--memory", "8"],
            "Could not override.*nonsense",
        ),
        (
            [TINY[0], "nonsense", "--gpus", "1", "--memory", "8"],
            "Error parsing override 'nonsense'",
        ),
        (
            ["albef/nlvr2_pairs", "model._name=meter_base", "--gpus", "1", "--memory", "8"],
            "unknown kind of head 'pairs': take one of classes",
        ),
        ([TINY[0], "task.data=/none", "--gpus", "1", "--memory", "8"], "no such data-bin"),
        ([TINY[0], "+model.hidden_size=767", "--gpus", "1", "--memory", "8"], "--hidden-size 767"),
        (
            [TINY[0], "model._name=meter_tiny", "--gpus", "1", "--memory", "8"],
            "meter_tiny has no option manager_noise",
        ),
        (
            [TINY[0], "model._name=nothing", "--gpus", "1", "--memory", "8"],
            "there is no such model",
        ),
        (
            [TINY[0], "optimization.update_freq=[1,2]", "--gpus", "1", "--memory", "8"],
            "update_freq must be one number",
        ),
        (
            [TINY[0], "optimization.max_update=0", "--gpus", "1", "--memory", "24"],
            "when to stop.*max_update=N",
        ),
    ],
)
def test_mistakes(args: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(args)
