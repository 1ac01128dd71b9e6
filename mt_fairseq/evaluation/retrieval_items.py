"""Texts and images of a split as queries and items of each other, as fairseq-generate reads them.

Queries have numbers: texts 0 to n - 1 in the order of the split, then images n to n + m - 1 in the
order in which the split first names them. Items have the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils
from torch import Tensor
from torch.utils.data import Dataset

from mt_fairseq.data.batches import QueryBatch
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.dictionary import TextDictionary
from mt_fairseq.data.image_text_dataset import ImageTextDataset
from mt_fairseq.data.randomness import Purpose
from mt_fairseq.data.tokenizer import TextTokenizer

DIRECTIONS = ("image", "text")
"""What is looked for: images for a text, texts for an image."""


class RetrievalItems:
    """What there is to find in a split, and which texts and images belong together.

    Attributes:
        images: (m,) indices in the data-bin, by first appearance in the split.
        image_of_text: (n,) number of each text's image.
    """

    def __init__(self, data_bin: DataBin, split: str) -> None:
        self.data_bin = data_bin
        self.split = data_bin.split(split)
        indices, first, numbers = np.unique(
            np.asarray(self.split.image_column[:, 0]), return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        self.images = indices[order]
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        self.image_of_text = place[numbers]
        self._texts = np.argsort(self.image_of_text, kind="stable")
        self._ends = np.cumsum(np.bincount(self.image_of_text))

    @property
    def texts(self) -> int:
        """Number of texts n, which is also the first image's number."""
        return len(self.image_of_text)

    def __len__(self) -> int:
        return self.texts + len(self.images)

    def queries(self, direction: str) -> range:
        """Numbers of the queries of a direction, "image", "text" or "both"."""
        begin = self.texts if direction == "text" else 0
        return range(begin, self.texts if direction == "image" else len(self))

    def direction(self, query: int) -> str:
        """What a query looks for: "image" or "text"."""
        return DIRECTIONS[query >= self.texts]

    def right(self, query: int) -> list[int]:
        """Numbers of the items that belong to a query."""
        if query < self.texts:
            return [self.texts + int(self.image_of_text[query])]
        image = query - self.texts
        begin = self._ends[image - 1] if image else 0
        return self._texts[begin : self._ends[image]].tolist()

    def name(self, item: int) -> str:
        """A text's id in its dataset, or an image's key."""
        if item < self.texts:
            return str(self.split.sample_id(item))
        return self.data_bin.images.key(int(self.images[item - self.texts]))


def distinct_texts(dataset: ImageTextDataset) -> tuple[list[Tensor], Tensor]:
    """The different texts of a dataset as tokens, by length, and (n,) which of them each one is."""
    numbers: dict[bytes, int] = {}
    texts: list[Tensor] = []
    rows = np.empty(len(dataset), np.int64)
    for index in range(len(dataset)):
        words = dataset.words(index)
        rows[index] = numbers.setdefault(words.numpy().tobytes(), len(numbers))
        if rows[index] == len(texts):
            texts.append(dataset.add_special_tokens(words))
    order = np.argsort([len(text) for text in texts], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return [texts[i] for i in order], torch.from_numpy(place[rows])


class Pictures(Dataset[Tensor]):
    """The images of a split, each once: (3, H, W) uint8."""

    def __init__(self, items: RetrievalItems, dataset: ImageTextDataset) -> None:
        self.images = items.images
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Tensor:
        return self.dataset.load_image(int(self.images[number]), number, Purpose.AUGMENT, 0)


class ItemDictionary(TextDictionary):
    """The text dictionary, with items named by the ids that follow its own.

    fairseq-generate takes its dictionaries before any data is read, so the items come later.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        super().__init__(tokenizer)
        self.items: RetrievalItems | None = None

    def item_id(self, item: int) -> int:
        """The id that stands for an item."""
        return len(self) + item

    def id_to_item(self, i: int) -> int:
        """Inverse of ``item_id``."""
        return i - len(self)

    def string(
        self,
        tensor: Any,
        bpe_symbol: str | None = None,
        escape_unk: bool = False,
        extra_symbols_to_ignore: Iterable[int] | None = None,
        unk_string: str | None = None,
        include_eos: bool = False,
        separator: str = " ",
    ) -> str:
        """A text's words; for ids of items their names, one after the other."""
        ids = torch.as_tensor(tensor)
        if self.items is not None and ids.dim() == 1 and bool((ids >= len(self)).any()):
            return separator.join(self.items.name(self.id_to_item(i)) for i in ids.tolist())
        return super().string(tensor, bpe_symbol, escape_unk, extra_symbols_to_ignore)


class QueryDataset(FairseqDataset):
    """Queries of one direction or both; ``id`` is a query's number, ``target`` its right items.

    Images are not read here: a text query has its tokens, an image query the id of its image.
    """

    def __init__(
        self,
        items: RetrievalItems,
        samples: ImageTextDataset,
        dictionary: ItemDictionary,
        direction: str,
    ) -> None:
        super().__init__()
        self.items = items
        self.samples = samples
        self.dictionary = dictionary
        self.direction = direction
        self.numbers = items.queries(direction)
        dictionary.items = items

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, Any]:
        query = self.numbers[index]
        if query < self.items.texts:
            tokens = self.samples.add_special_tokens(self.samples.words(query))
        else:
            tokens = torch.tensor([self.dictionary.item_id(query)])
        right = [self.dictionary.item_id(item) for item in self.items.right(query)]
        return {"id": query, "tokens": tokens, "right": torch.tensor(right)}

    def collater(self, samples: list[dict[str, Any]]) -> Mapping[str, Any]:
        """fairseq's hook; no batch for a process that has no samples left."""
        return self.batch(samples) if samples else {}

    def batch(self, samples: list[dict[str, Any]]) -> QueryBatch:
        """At least one query as a batch."""
        pad = self.dictionary.pad()
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": sum(len(sample["tokens"]) for sample in samples),
            "net_input": {
                "src_tokens": data_utils.collate_tokens([s["tokens"] for s in samples], pad)
            },
            "target": data_utils.collate_tokens([s["right"] for s in samples], pad),
        }

    def num_tokens(self, index: int) -> int:
        """Positions of a query and an item together, so that ``--max-tokens`` bounds memory."""
        return self.samples.max_words + 2 + self.samples.image_positions

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        return np.full(len(indices), self.num_tokens(0))

    def size(self, index: int) -> int:
        return self.num_tokens(index)

    @property
    def sizes(self) -> np.ndarray:
        return self.num_tokens_vec(np.arange(len(self)))

    def ordered_indices(self) -> np.ndarray:
        return np.arange(len(self))
