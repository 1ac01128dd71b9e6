"""``python -m mt_fairseq.convert albef``: files of the published layout become checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mt_fairseq import Albef
from mt_fairseq.convert import from_official_albef
from mt_fairseq.convert.__main__ import main
from mt_fairseq.convert.infer_albef import infer_albef_config, infer_kind
from mt_fairseq.errors import UserError
from tests.albef.golden import Golden
from tests.support import ROOT

Open = Callable[[str, str], Golden]
FOLDERS = {"pretrain": "pretrain", "retrieval": "retrieval", "ve": "ve", "nlvr": "nlvr",
           "pretrain_nlvr": "pretrain_nlvr", "vqa": "vqa"}  # fmt: skip
HEADS = {
    "pretrain": ["itc", "itm", "mlm"],
    "retrieval": ["itc", "itm"],
    "ve": ["snli_ve"],
    "nlvr": ["nlvr2"],
    "pretrain_nlvr": ["itc", "pairs"],
    "vqa": ["answers"],
}
TASKS = {"pretrain": "albef_pretrain", "retrieval": "retrieval", "ve": "snli_ve", "nlvr": "nlvr2",
         "pretrain_nlvr": "albef_pairs", "vqa": "albef_vqa"}  # fmt: skip


def weights_of(golden: Open, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An official state dict, and the sizes that its folder states."""
    folder = golden(FOLDERS[kind], kind)
    if kind != "pretrain_nlvr":
        return folder.tensors("weights"), folder.sizes
    towers = golden("nlvr", "nlvr").tensors("weights")
    own = {name: t for name, t in towers.items() if "_m." not in name and "cls_head" not in name}
    return {**own, **folder.tensors("weights_extra")}, folder.sizes


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT tokenizer with as many words as the reference models."""
    from transformers import BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "square"]
    words += [f"word{number}" for number in range(120 - len(words))]
    (folder / "words.txt").write_text("\n".join(words))
    BertTokenizerFast({word: i for i, word in enumerate(words)}).save_pretrained(folder)
    return folder


@pytest.fixture
def published(tmp_path: Path) -> Callable[[dict[str, Tensor]], Path]:
    """Saves as the official code does, beside what resuming would need."""

    def save(state: dict[str, Tensor]) -> Path:
        path = tmp_path / "published.pth"
        content = {"model": state, "optimizer": {"state": {}}, "config": {"alpha": 0.4}, "epoch": 9}
        torch.save(content, path)
        return path

    return save


@pytest.mark.parametrize("kind", FOLDERS)
def test_kind_and_sizes_are_read_off(golden: Open, kind: str) -> None:
    state, sizes = weights_of(golden, kind)
    assert infer_kind(state) == kind
    found = infer_albef_config(state, kind, sizes["vision_heads"])
    has_projections = "vision_proj.weight" in state
    for name, value in found.items():
        if name != "embed_dim" or has_projections:
            assert value == sizes[name], name


@pytest.mark.parametrize("kind", FOLDERS)
@torch.no_grad()
def test_published_file(
    golden: Open, kind: str, published: Any, bert: Path, tmp_path: Path, capsys: Any
) -> None:
    state, sizes = weights_of(golden, kind)
    labels = tmp_path / "answers.txt"
    labels.write_text("red\nsquare\na red square\n")
    main(
        ["albef", str(published(state)), "--out", str(tmp_path / "ours.pt"), "--heads",
         str(sizes["vision_heads"]), "--tokenizer", str(bert),
         *(["--labels", str(labels)] if kind == "vqa" else [])]
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "missing: none" in printed and "left over: none" in printed
    assert f"task {TASKS[kind]}" in printed
    hub = Albef.from_pretrained(tmp_path / "ours.pt")
    assert sorted(hub.heads) == HEADS[kind] and hub.task.name == TASKS[kind]
    assert hub.task.resolution == (sizes["image_res"], sizes["image_res"])
    reference = from_official_albef(state, sizes, kind)
    ours = hub.model.state_dict()
    for name, tensor in reference.state_dict().items():
        if not name.startswith(("twin.", "queue.")):
            assert torch.equal(ours[name], tensor), name
    tokens = hub.encode("a red square")[None]
    # nor did it see capitals and punctuation
    assert torch.equal(hub.encode("A RED, (square)!"), tokens[0])
    images = torch.rand(1, 2 if kind in ("nlvr", "pretrain_nlvr") else 1, 3, *hub.task.resolution)
    # the official code never saw the end of a text, and the converted model hides it
    without_end = reference(tokens[:, :-1], images).pooled
    torch.testing.assert_close(hub.model(tokens, images).pooled, without_end, atol=1e-5, rtol=0)


def test_every_published_name_is_documented(golden: Open) -> None:
    """Each name of each kind fits one pattern of docs/albef.md, with as many axes as said there."""
    text = (ROOT / "docs/albef.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.{}|*]+)` \| ([^|]*) \|", text, re.MULTILINE)
    patterns = []
    for name, shape in rows:
        pattern = re.escape(name).replace(r"\{n\}", r"\d+")
        patterns.append((re.compile(pattern.replace(r"\*", ".*")), shape))
    assert len(patterns) > 20
    for kind in FOLDERS:
        for name, tensor in weights_of(golden, kind)[0].items():
            online = re.sub(r"^(\w+?)_m\.", r"\1.", name)
            online = re.sub(r"^text_decoder\.", "text_encoder.", online)
            online = re.sub(r"^text_encoder\.(embeddings|encoder)", r"text_encoder.bert.\1", online)
            found = [shape for pattern, shape in patterns if pattern.fullmatch(online)]
            assert found, name
            axes = [shape.count(",") + 1 if shape.strip("() ") else 0 for shape in found]
            assert tensor.dim() in axes, (name, found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"strange.weight": torch.zeros(2)}, "strange.weight"),
        ({"itm_head.bias": None}, "itm_head.bias"),
    ],
)
def test_files_that_do_not_fit(
    golden: Open, published: Any, bert: Path, tmp_path: Path, change: Any, words: str
) -> None:
    state, sizes = weights_of(golden, "retrieval")
    state = {name: t for name, t in {**state, **change}.items() if t is not None}
    with pytest.raises(UserError, match=words):
        main(
            ["albef", str(published(state)), "--out", str(tmp_path / "x.pt"), "--heads",
             str(sizes["vision_heads"]), "--tokenizer", str(bert)]
        )  # fmt: skip
    assert not (tmp_path / "x.pt").exists()


def test_another_kind_or_config(golden: Open) -> None:
    state, sizes = weights_of(golden, "ve")
    with pytest.raises(UserError, match="kind 'vcr' of an official ALBEF: it is one of pretrain"):
        from_official_albef(state, sizes, "vcr")
    with pytest.raises(UserError, match=r"official ALBEF \(vqa\): has no tensor 'text_decoder"):
        from_official_albef(state, sizes, "vqa")
    with pytest.raises(UserError, match="config of an official ALBEF: lacks image_res"):
        from_official_albef(state, {k: v for k, v in sizes.items() if k != "image_res"}, "ve")
    with pytest.raises(UserError, match=r"but the configuration makes it \(24, 48\)"):
        from_official_albef(state, {**sizes, "vision_width": 48}, "ve")


def test_vqa_needs_its_answers(golden: Open, published: Any, bert: Path, tmp_path: Path) -> None:
    state, sizes = weights_of(golden, "vqa")
    command = ["albef", str(published(state)), "--out", str(tmp_path / "x.pt"), "--heads",
               str(sizes["vision_heads"]), "--tokenizer", str(bert)]  # fmt: skip
    with pytest.raises(UserError, match="--labels is needed for vqa"):
        main(command)
    (tmp_path / "none.txt").write_text("")
    with pytest.raises(UserError, match=r"none\.txt: the list of answers is empty"):
        main([*command, "--labels", str(tmp_path / "none.txt")])
    torch.save({"epoch": 1}, tmp_path / "empty.pth")
    with pytest.raises(UserError, match="no state dict of tensors"):
        main(["albef", str(tmp_path / "empty.pth"), "--out", str(tmp_path / "x.pt")])
