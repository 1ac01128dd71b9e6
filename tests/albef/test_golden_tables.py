"""The reference's tables: what initialises what, initial values, token ids, settings, recalls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mt_fairseq.convert.albef import rules_for
from mt_fairseq.convert.tables import convert
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.data.tokenizer_build import from_transformers
from mt_fairseq.evaluation.ranking import Side, shortlist
from mt_fairseq.evaluation.recall import recall_report
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.modules.outputs import ImageStates, TextStates
from mt_fairseq.modules.positions import resize_positions
from mt_fairseq.plan.recipe import read_recipe
from tests.albef.golden import BOUND, Golden, difference
from tests.albef.small import PRETRAINING, SIZES, WORDS, build

Open = Callable[[str, str], Golden]
HALVES = {**SIZES, "num_hidden_layers": 12, "fusion_layer": 6}  # as many layers as BASE
# case: our kind of the fine-tuned model, its heads, whether it has a teacher
CASES: dict[str, tuple[str, dict[str, int], bool]] = {
    "retrieval": ("retrieval", {"itc": 0, "itm": 2}, True),
    "grounding": ("retrieval", {"itc": 0, "itm": 2}, True),
    "ve": ("ve", {"snli_ve": 3}, True),
    "vqa": ("vqa", {"answers": WORDS}, True),
    "vqa_without_distill": ("vqa", {"answers": WORDS}, False),
    "pretrain_nlvr": ("pretrain_nlvr", {"itc": 0, "pairs": 3}, False),
    "nlvr_from_pretrain_nlvr": ("nlvr", {"nlvr2": 2}, True),
}
NEW = {"ve": ["snli_ve"], "pretrain_nlvr": ["pairs"], "nlvr_from_pretrain_nlvr": ["nlvr2"]}


def read(shared_dir: Path, name: str) -> Any:
    return json.loads((shared_dir / "golden_albef" / name).read_text())


# --- from one task to the next ---


def scattered(model: AlbefModel) -> AlbefModel:
    """No two tensors alike, so that each says where it came from."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def sources() -> dict[str, tuple[str, AlbefModel]]:
    """What a fine-tuning starts from, and its kind: pre-training, or the task before NLVR2."""
    torch.manual_seed(0)
    first = scattered(build(PRETRAINING, HALVES, twin=True))
    pairs = scattered(build({"itc": 0, "pairs": 3}, HALVES))
    return {"pretrain": ("pretrain", first), "pairs": ("pretrain_nlvr", pairs)}


def ours(name: str, kind: str) -> list[str]:
    """An official tensor's names here; none where it repeats another."""
    converted = convert({name: torch.zeros(3)}, rules_for(HALVES, kind))
    assert not converted.left_over, name
    return list(converted.tensors)


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_comes_from_where_the_reference_takes_it(
    shared_dir: Path, sources: dict[str, tuple[str, AlbefModel]], case: str
) -> None:
    table = read(shared_dir, "checkpoint_conversion.json")[case]
    kind, heads, twin = CASES[case]
    source_kind, source = sources["pairs" if case.startswith("nlvr") else "pretrain"]
    before = {name: value.clone() for name, value in source.state_dict().items()}
    model = build(heads, HALVES, twin=twin)
    model.load_state_dict(dict(before), strict=True)
    state, compared = model.state_dict(), 0
    for target, origin in table["loaded"].items():
        for name, other in zip(ours(target, kind), ours(origin, source_kind), strict=False):
            if name in state:  # the projections of a model whose task reads none are left out
                assert torch.equal(state[name], before[other]), (target, origin)
                compared += 1
    assert compared > 30
    assert model.load_report.fresh_heads == NEW.get(case, [])


def test_the_officials_teacher_of_nlvr2_is_stale(
    shared_dir: Path, sources: dict[str, tuple[str, AlbefModel]]
) -> None:
    """Theirs is copied before the checkpoint is read; ours only with ``--stale-teacher``."""
    table = read(shared_dir, "checkpoint_conversion.json")["nlvr_from_pretrain_nlvr"]
    assert table["copy_params_called_before_loading"]
    assert {"visual_encoder_m", "text_encoder_m"} <= set(table["left_at_construction_by_module"])
    assert not any("_m." in name for name in table["loaded"])
    for stale in (False, True):
        model = build({"nlvr2": 2}, HALVES, twin=True, stale_teacher=stale)
        model.load_state_dict(sources["pairs"][1].state_dict(), strict=True)
        same = torch.equal(model.twin.network.words, model.network.words)
        assert same == (not stale)


def test_position_tables_of_model_and_teacher_are_resized(
    sources: dict[str, tuple[str, AlbefModel]],
) -> None:
    """From 2 x 2 patches to 4 x 4, as from 256 to 384 pixels."""
    source = sources["pretrain"][1]
    model = build({"itc": 0, "itm": 2}, {**HALVES, "image_res": 64}, twin=True)
    model.load_state_dict(source.state_dict(), strict=True)
    for ours, theirs in ((model, source), (model.twin, source.twin)):
        table = theirs.network.vision_encoder.positions
        expected = resize_positions(table.detach(), (4, 4))
        assert difference(ours.network.vision_encoder.positions, expected) == 0


# --- initial values ---


@pytest.mark.parametrize(
    ("section", "kind", "heads"),
    [
        ("pretrain", "pretrain", {"itc": 0, "itm": 2, "mlm": 200}),
        ("ve", "ve", {"snli_ve": 3}),
        ("nlvr", "nlvr", {"nlvr2": 2}),
        ("pretrain_nlvr", "pretrain_nlvr", {"itc": 0, "pairs": 3}),
    ],
)
def test_initial_values(shared_dir: Path, section: str, kind: str, heads: dict[str, int]) -> None:
    """Constants are the same; spreads and shapes of distributions alike.

    The patch convolution is left out: it comes from a checkpoint, and without one it starts like
    all else of the vision encoder.
    """
    recorded = read(shared_dir, "init_stats.json")[section]
    width = 48 if section == "pretrain" else 24
    sizes = {
        **SIZES, "vision_width": width, "vision_layers": 2, "text_width": width,
        "num_hidden_layers": 4, "fusion_layer": 2, "vocab_size": 200, "embed_dim": 16,
    }  # fmt: skip
    torch.manual_seed(1)
    state = build(heads, sizes).state_dict()
    compared = 0
    for name, about in recorded.items():
        if "_m." in name or "patch_embed" in name:
            continue
        targets = convert({name: torch.zeros(3)}, rules_for(sizes, kind)).tensors
        parts = [state[target].flatten() for target in targets if target in state]
        if not parts:
            continue
        values, count = torch.cat(parts), sum(map(len, parts))
        if about["std"] == 0:
            assert values.eq(about["mean"]).all(), name
        else:
            assert abs(float(values.std()) / about["std"] - 1) < 6 / count**0.5, name
        if (
            count > 100 and about["std"]
        ):  # a uniform distribution ends at 1.73 deviations, a normal one beyond 2.3
            uniform = about["max"] / about["std"] < 2.1
            assert (values.abs().max() / values.std() < 2.1) == uniform, name
        compared += 1
    assert compared >= 4


# --- ids ---


@pytest.fixture(scope="module")
def tokenizer(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    from transformers import BertTokenizerFast

    words = read(shared_dir, "tokenization.json")["vocab"]
    folder = tmp_path_factory.mktemp("bert")
    BertTokenizerFast({word: i for i, word in enumerate(words)}).save_pretrained(folder)
    return from_transformers(str(folder))


def test_ids(shared_dir: Path, tokenizer: TextTokenizer) -> None:
    """[CLS] in front; [SEP] behind answers only, elsewhere ``--no-end-token`` hides it."""
    recorded = read(shared_dir, "tokenization.json")
    for text, ids in recorded["single"]:
        assert [tokenizer.bos, *tokenizer.encode(text)] == ids, text
    for text, ids in recorded["answers_with_eos"]:
        answer = tokenizer.encode(text.removesuffix("[SEP]"))
        assert [tokenizer.bos, *answer, tokenizer.eos] == ids, text
    cut = recorded["truncated_to_8"]
    for text, ids in zip(cut["texts"], cut["input_ids"], strict=True):
        ours = [tokenizer.bos, *tokenizer.encode(text)][:8]  # --max-text-len 9 counts </s> too
        assert ours + [tokenizer.pad] * (8 - len(ours)) == ids


@torch.no_grad()
def test_the_end_token_is_hidden(golden: Open) -> None:
    reference = golden("ve", "ve")
    model = reference.model().eval()
    model.network.end = 3
    ids = reference.inputs["input_ids"]
    longer = torch.nn.functional.pad(ids, (0, 1))
    longer[torch.arange(len(ids)), ids.ne(0).sum(dim=1)] = 3
    output = model(longer, reference.inputs["image"], classification_head_name="snli_ve")
    assert difference(output.logits, reference.tensors("outputs")["logits_eval"]) < BOUND


# --- pictures, recalls, settings ---


def test_pixels(golden: Open, shared_dir: Path) -> None:
    """uint8 pictures are normalised as the official test transform does."""
    file = load_file(shared_dir / "golden_albef" / "image_transforms.safetensors")
    seen: list[Tensor] = []
    model = golden("ve", "ve").model()
    patches = model.network.vision_encoder.patches
    patches.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.network.encode_images(file["test_resized_48_uint8"].permute(2, 0, 1)[None])
    assert difference(seen[0][0], file["test_transform_48"]) < 1e-6


@torch.no_grad()
def test_recalls(golden: Open) -> None:
    """Our ranking of the golden pictures and texts gives the official recalls."""
    reference = golden("retrieval", "retrieval")
    model, about = reference.model().eval(), reference.config["evaluation"]
    inputs = {name: reference.inputs[f"eval.{name}"] for name in ("input_ids", "image")}
    texts, images = model.encode_text(inputs["input_ids"]), model.encode_images(inputs["image"])
    text_features, image_features = model.contrastive_features(texts, images)
    owners = torch.tensor([int(i) for i, own in about["text_of_image"].items() for _ in own])
    sides = {
        "text": Side(text_features, torch.arange(len(owners)), owners),
        "image": Side(image_features, torch.arange(4), torch.arange(4)),
    }
    recorded = reference.tensors("outputs.evaluation")
    found = {}
    for wanted, asking, prefix in (("text", "image", "txt"), ("image", "text", "img")):
        queries, items = sides[asking], sides[wanted]
        best = shortlist(queries, items, about["k_test"], torch.arange(len(queries)))
        score(model, best, texts, images, asking)
        matrix = recorded["score_matrix_i2t" if asking == "image" else "score_matrix_t2i"]
        assert difference(best.scores, matrix.gather(1, best.items.long())) < BOUND
        found[prefix] = best.ranks().numpy(), queries.groups.numpy()
    report = recall_report(found)
    for prefix, direction in report.directions.items():
        # others than the k best tie in the official matrix, here they go by similarity
        assert direction.recall[1] == about["metrics"][f"{prefix}_r1"]


def score(
    model: AlbefModel, best: Any, texts: TextStates, images: ImageStates, asking: str
) -> None:
    """Put match logits in the place of similarities."""
    queries = best.queries.repeat_interleave(best.items.shape[1])
    items = best.items.flatten().long()
    image, text = (queries, items) if asking == "image" else (items, queries)
    pooled = model.network.pool(model.fuse(texts.select(text), images.select(image)))
    best.scores = model.heads["itm"](pooled)[:, 1].view_as(best.scores)


@pytest.mark.parametrize(
    ("name", "official"),
    [("retrieval_coco", "Retrieval_coco"), ("vqa", "VQA"), ("snli_ve", "VE"), ("nlvr2", "NLVR"),
     ("nlvr2_pairs", "NLVR_pretrain"), ("grounding", "Grounding"), ("pretraining_4m", "Pretrain")],
)  # fmt: skip
def test_recipes_hold_the_released_settings(shared_dir: Path, name: str, official: str) -> None:
    released = read(shared_dir, "optim.json")["schedules"][official]
    schedule, optimizer = released["schedule"], released["optimizer"]
    cfg = read_recipe(f"albef/{name}", ["task.data=x"]).cfg
    assert cfg.optimization.lr[0] == optimizer["lr"] == schedule["lr"]
    assert cfg.optimizer.weight_decay == optimizer["weight_decay"]
    assert cfg.optimization.max_epoch == schedule["epochs"]
    assert cfg.lr_scheduler.min_lr == schedule["min_lr"]
    assert cfg.dataset.batch_size == released["batch_size"]
    assert int(cfg.task.image_size) == released["image_res"]
    if schedule["warmup_lr"] < schedule["lr"]:
        # 100 updates each; the paper says 1,000 for pre-training, the released file 2,000
        updates = 1000 if official == "Pretrain" else 100 * schedule["warmup_epochs"]
        assert cfg.lr_scheduler.warmup_init_lr == schedule["warmup_lr"]
        assert cfg.lr_scheduler.warmup_updates == updates
    if released["warm_up_of_alpha"] is not None:
        assert cfg.model.get("constant_alpha", False) == (not released["warm_up_of_alpha"])
        assert cfg.model.distill_alpha == released["alpha"]
