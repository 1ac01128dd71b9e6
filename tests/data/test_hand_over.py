"""What a loader process hands over is what it collated, in few pieces of shared memory."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mt_fairseq.data.hand_over import HandOver, stack_shared


class Numbers(Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index

    def __len__(self) -> int:
        return 4


def collate(samples: list[int]) -> dict[str, Any]:
    images = [torch.full((3, 200, 200), i, dtype=torch.uint8) for i in samples]
    words = torch.tensor(samples)
    return {
        "id": words,
        "net_input": {"images": stack_shared(images), "masked": words > 1, "draws": [words / 3]},
        "large": torch.zeros(100_000),
        "nsentences": len(samples),
        "target": None,
    }


def load(workers: int, collate_fn: Any) -> list[dict[str, Any]]:
    return list(DataLoader(Numbers(), batch_size=2, num_workers=workers, collate_fn=collate_fn))


def test_batches_arrive_as_they_were_made() -> None:
    for ours, plain in zip(load(1, HandOver(collate)), load(0, collate), strict=True):
        assert ours["nsentences"] == 2 and ours["target"] is None
        for name in ("id", "large"):
            assert torch.equal(ours[name], plain[name])
        for name in ("images", "masked"):
            assert torch.equal(ours["net_input"][name], plain["net_input"][name])
            assert ours["net_input"][name].dtype == plain["net_input"][name].dtype
        assert torch.equal(ours["net_input"]["draws"][0], plain["net_input"]["draws"][0])
        ours["id"][0] = 7  # the trainer may write into what it was given


def test_only_large_tensors_take_shared_memory() -> None:
    batch = load(1, HandOver(collate))[0]
    assert batch["large"].is_shared()
    assert not batch["id"].is_shared() and not batch["net_input"]["masked"].is_shared()


def test_nothing_changes_without_loader_processes() -> None:
    batch = load(0, HandOver(collate))[0]
    assert isinstance(batch["id"], torch.Tensor) and not batch["net_input"]["images"].is_shared()
