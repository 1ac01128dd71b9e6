"""Ranking under fairseq-generate and ``evaluate``: one process, several, and beside all pairs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from mt_fairseq import evaluate
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import load_checkpoint
from tests import support
from tests.commands.conftest import train_elsewhere

TOPK = 3
FLAGS = ["--cpu", "--num-workers", "0"]
CAPTIONS = [
    "a {} square",
    "the square is {}",
    "a square on grey ground",
]  # the last one says nothing


@pytest.fixture(scope="module")
def caption_bin(question_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three captions a picture, one of them the same for all pictures."""
    folder = tmp_path_factory.mktemp("retrieval")
    for split, size in {"train": 8, "valid": 7}.items():
        lines = []
        for index in range(size):
            colour = list(support.COLOURS)[index % 3]
            name = f"images/{split} {index}.png"
            support.draw_square(folder / name, colour, index)
            for text in CAPTIONS:
                lines.append(json.dumps({"image": name, "text": text.format(colour)}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    support.python(
        "-m", "preprocess", "jsonl", "--raw", folder, "--dest", folder / "bin",
        "--tokenizer", question_bin,
    )  # fmt: skip
    return folder / "bin"


@pytest.fixture(scope="module")
def checkpoint(caption_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_elsewhere(
        caption_bin, tmp_path_factory.mktemp("model"), "--task", "retrieval", "--criterion",
        "itc_itm", "--disable-validation", "--retrieval-topk", TOPK,
    )  # fmt: skip


@dataclass
class Results:
    score: dict
    records: list[dict]
    lines: list[str]


def run(out: Path, *args: object) -> Results:
    """``evaluate`` in this process."""
    further = args.index("--") if "--" in args else len(args)
    own, rest = args[:further], args[further:]
    assert evaluate.main([str(a) for a in (*own, "--out", out, *FLAGS, *rest)]) == 0
    return read(out)


def read(out: Path) -> Results:
    generated = out / "generate-valid.txt"
    return Results(
        json.loads((out / "score.json").read_text()),
        [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()],
        generated.read_text().splitlines() if generated.exists() else [],
    )


@pytest.fixture(scope="module")
def whole(checkpoint, caption_bin, tmp_path_factory) -> Results:
    """How many candidates to rank again, the checkpoint says."""
    out = tmp_path_factory.mktemp("whole")
    return run(out, checkpoint, caption_bin, "--batch-size", 4, "--nbest", 9)


@pytest.fixture(scope="module")
@torch.no_grad()
def exhaustive(checkpoint, caption_bin) -> tuple[torch.Tensor, torch.Tensor]:
    """Similarities and match logits (texts, images) of all pairs, one pair at a time."""
    loaded = load_checkpoint(checkpoint)
    loaded.task.data_bin = data = DataBin(caption_bin)
    dataset = loaded.task.build_dataset("valid", loaded.task.build_transform(False), shuffle=False)
    samples = [dataset[i] for i in range(len(dataset))]
    texts = [sample["tokens"][None] for sample in samples]
    images = [sample["images"] for sample in samples[:: len(CAPTIONS)]]
    model = loaded.model
    similarity, logits = torch.zeros(2, len(texts), len(images))
    for row, text in enumerate(texts):
        for column, image in enumerate(images):
            features = model.contrastive_features(
                model.encode_text(text), model.encode_images(image)
            )
            similarity[row, column] = (features[0] * features[1]).sum()
            output = model(text, image[None], classification_head_name="itm")
            logits[row, column] = output.logits[0, 1]
    assert len(data.split("valid")) == len(texts)
    return similarity, logits


def ranked(similarity: torch.Tensor, logits: torch.Tensor) -> list[list[int]]:
    """The whole order of every row's items; scores that differ by rounding alone are equal."""
    similarity, logits = ((x * 1e4).round() for x in (similarity, logits))
    order = similarity.argsort(dim=1, descending=True, stable=True)
    first = order[:, :TOPK]
    best = logits.gather(1, first).argsort(dim=1, descending=True, stable=True)
    return torch.cat([first.gather(1, best), order[:, TOPK:]], dim=1).tolist()


def test_ranks_are_those_of_all_pairs(whole, exhaustive, caption_bin):
    similarity, logits = exhaustive
    split = DataBin(caption_bin).split("valid")
    names = [f"images/valid {i}.png" for i in range(7)]
    ids = [str(split.sample_id(i)) for i in range(21)]
    records = {direction: [r for r in whole.records if r["direction"] == direction]
               for direction in ("image", "text")}  # fmt: skip
    for row, (record, order) in enumerate(
        zip(records["image"], ranked(similarity, logits), strict=True)
    ):
        assert str(record["id"]) == ids[row] and record["image"] == names[row // 3]
        assert record["answers"] == [names[i] for i in order[:TOPK]]
        assert record["rank"] == order.index(row // 3) + 1
        assert record["scores"] == pytest.approx(logits[row, order[:TOPK]].tolist(), abs=1e-4)
    for row, (record, order) in enumerate(
        zip(records["text"], ranked(similarity.T, logits.T), strict=True)
    ):
        assert record["id"] == record["image"] == names[row] and record["text"] is None
        assert record["answers"] == [ids[i] for i in order[:TOPK]]
        assert record["reference"] == ids[3 * row : 3 * row + 3]
        assert record["rank"] == 1 + min(order.index(3 * row + i) for i in range(3))
    for record in whole.records:
        assert record["prediction"] == record["answers"][0]
        assert record["credit"] == (record["rank"] == 1)


def test_score_follows_from_the_ranks(whole):
    score = whole.score
    recalls = []
    for direction in ("image", "text"):
        ranks = [r["rank"] for r in whole.records if r["direction"] == direction]
        own = score[f"{direction}_retrieval"]
        assert own["queries"] == len(ranks)
        for k in (1, 5, 10):
            recalls.append(100 * sum(rank <= k for rank in ranks) / len(ranks))
            assert own[f"R@{k}"] == pytest.approx(recalls[-1])
            low, high = own["ci95"][f"R@{k}"]
            assert low <= recalls[-1] <= high
    assert score["rsum"] == pytest.approx(sum(recalls))
    assert score["score"] == pytest.approx(sum(recalls) / 6)
    assert score["scored"] == score["samples"] == 28
    assert f"RSUM {sum(recalls):.2f}" in whole.lines[-1]


def column(lines: list[str], letter: str) -> dict[str, list[str]]:
    """Last field of the lines of a kind, by number."""
    found: dict[str, list[str]] = {}
    for line in lines:
        head, tab, rest = line.partition("\t")
        if tab and head.startswith(f"{letter}-"):
            found.setdefault(head[2:], []).append(rest.split("\t")[-1])
    return found


def test_lines_of_fairseq(whole):
    sources, targets, best = (column(whole.lines, letter) for letter in "STD")
    for number, record in enumerate(whole.records):
        source = record["text"] if record["direction"] == "image" else record["image"]
        (printed,) = sources[str(number)]
        assert source.startswith(printed.strip())  # texts are cut to 12 tokens
        assert len(printed) > 3
        assert targets[str(number)] == [" ".join(record["reference"])]
        assert best[str(number)] == record["answers"]


def test_two_real_processes_share_the_queries(checkpoint, caption_bin, whole):
    arguments = support.fairseq_arguments("generate", [
        caption_bin, "--task", "retrieval", "--path", checkpoint / "checkpoint_last.pt",
        "--gen-subset", "valid", "--batch-size", 4, "--required-batch-size-multiple", 1,
        "--nbest", 9, "--scoring", "recall", "--retrieval-topk", TOPK, "--user-dir",
        support.USER_DIR, *FLAGS, "--distributed-world-size", 2, "--distributed-rank",
    ])  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments, str(rank)], stdout=subprocess.PIPE, cwd=support.ROOT,
            stderr=subprocess.PIPE, text=True, env=support.environment(),
        )
        for rank in (0, 1)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=600) for process in processes]
    assert not any(process.returncode for process in processes), outputs
    parts = [output.splitlines() for output, _ in outputs]
    for letter in "STHD":
        first, second = (column(lines, letter) for lines in parts)
        assert first and second and not first.keys() & second.keys()
        assert {**first, **second} == column(whole.lines, letter)
    assert all("over 16 queries" in lines[-1] or "over 12 queries" in lines[-1] for lines in parts)


def test_parts_merged_are_the_whole(checkpoint, caption_bin, whole, tmp_path):
    parts = [tmp_path / "1", tmp_path / "2", tmp_path / "3"]
    for number, part in enumerate(parts, 1):
        evaluate.main([
            str(checkpoint), str(caption_bin), "--batch-size", "4", "--nbest", "9", *FLAGS,
            "--out", str(part), "--shard", f"{number}/3",
        ])  # fmt: skip
        assert not (part / "score.json").exists()
    evaluate.main(["merge", *map(str, reversed(parts)), "--out", str(tmp_path / "all")])
    merged = read(tmp_path / "all")
    assert {**merged.score, "seconds": 0} == {**whole.score, "seconds": 0}
    for ours, theirs in zip(merged.records, whole.records, strict=True):
        assert ours.pop("scores") == pytest.approx(theirs.pop("scores"), abs=1e-5)
        assert ours == theirs
        theirs["scores"] = []  # the records are not read again


def test_no_memory_changes_nothing(checkpoint, caption_bin, whole, tmp_path):
    small = run(
        tmp_path / "out", checkpoint, caption_bin, "--batch-size", 4, "--nbest", 9,
        "--", "--retrieval-topk", TOPK, "--gallery-cache-gb", 0,
    )  # fmt: skip
    assert small.score["rsum"] == whole.score["rsum"]
    assert [r["answers"] for r in small.records] == [r["answers"] for r in whole.records]


def test_one_direction_by_similarity_alone(checkpoint, caption_bin, exhaustive, tmp_path):
    found = run(
        tmp_path / "out", checkpoint, caption_bin, "--nbest", 2,
        "--", "--retrieval-topk", 0, "--retrieval-direction", "text",
    )  # fmt: skip
    assert [r["direction"] for r in found.records] == ["text"] * 7
    assert "image_retrieval" not in found.score and found.score["rsum"] <= 300
    best = exhaustive[0].T.topk(2, dim=1).values
    for record, similarities in zip(found.records, best, strict=True):
        assert record["scores"] == pytest.approx(similarities.tolist(), abs=1e-5)


def test_a_model_without_contrast_ranks_all_pairs(pretrained_checkpoint, caption_bin, capsys):
    """As METER, which fine-tunes image-text matching alone."""
    from mt_fairseq.evaluate import generate_options, run_generate

    arguments = [
        str(caption_bin), "--task", "retrieval", "--path",
        str(pretrained_checkpoint / "checkpoint_last.pt"), "--gen-subset", "valid", "--nbest", "99",
        "--batch-size", "4", "--scoring", "recall", *FLAGS,
    ]  # fmt: skip
    scorer = run_generate(generate_options(arguments))
    assert {len(found.items) for found in scorer.answers.found.values()} == {7, 21}
    with pytest.raises(UserError, match="no contrastive head"):
        run_generate(generate_options([*arguments, "--retrieval-topk", "3"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--retrieval-topk", "-1"], "--retrieval-topk -1"),
        (["--gallery-cache-gb", "-1"], "--gallery-cache-gb -1"),
        (
            ["--distributed-world-size", "3", "--distributed-rank", "2"],
            "no more batches than 1",
        ),
    ],
)
def test_wrong_options(options, message, checkpoint, caption_bin, tmp_path):
    with pytest.raises(UserError, match=message):
        run(tmp_path / "out", checkpoint, caption_bin, "--", *options)
