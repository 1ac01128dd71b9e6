"""Trained models on your own images and texts: ``ManagerTower.from_pretrained(...)``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from mt_fairseq.data.text_cleaning import cleaned
from mt_fairseq.data.transforms import build_transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import LoadedCheckpoint, load_checkpoint
from mt_fairseq.models.hub_images import GivenImage, ImageInput, take_image
from mt_fairseq.models.hub_inputs import ImageInputs, check_text, check_topk, paired
from mt_fairseq.modules.matching import MATCH
from mt_fairseq.user_parts import import_user_dir

Ranked = list[tuple[str, float]]
Hub = TypeVar("Hub", bound="HubInterface")

BATCH = 32  # pairs a forward pass, which bounds memory however many are asked for


class HubInterface(nn.Module):
    """A model with its tokenizer, labels and image transform, from a checkpoint alone.

    An image is a path, encoded bytes, a file opened with 'rb', a Pillow image, a NumPy array
    (H, W, C) or a tensor (C, H, W), where C is 3 for RGB, 4 for RGBA, 1 for grey; grey ones may
    leave it out. Pixels are whole numbers from 0 to 255, or floats from 0 to 1. Every method raises
    UserError for other inputs, a missing or damaged file, an empty text, lists that are empty or of
    different lengths, and a ``topk`` below 1; one above the number of classes gives them all.

    Attributes:
        family: beginning of the registered names of the models that the class loads.
        model: the fairseq model, in evaluation mode. ``.to("cuda")`` moves it.
        task: the fairseq task, which has dictionaries, labels, resolution and text length.
    """

    family = ""

    def __init__(self, checkpoint: LoadedCheckpoint) -> None:
        super().__init__()
        self.cfg = checkpoint.cfg
        self.task = checkpoint.task
        self.model = checkpoint.model
        self.transform = build_transform(self.task.eval_transform_kind, self.task.resolution)
        self.eval()

    @classmethod
    def from_pretrained(
        cls: type[Hub], path: str | Path, *, ema: bool = False, user_dir: str | Path | None = None
    ) -> Hub:
        """Load a checkpoint, the best (else the last) one of a folder, or an exported folder.

        With ``ema``, the moving average of its weights, which ``--store-ema`` kept. ``user_dir`` is
        the folder that registers parts of your own, as in training. Raises UserError if it is
        missing, damaged, of another family of models or without an average.
        """
        if user_dir is not None:
            import_user_dir(user_dir)
        if not isinstance(path, (str, os.PathLike)):
            raise UserError(f"{path!r:.80} is not a path: name a checkpoint or its folder")
        checkpoint = load_checkpoint(path, ema)
        name = str(checkpoint.cfg.model._name)
        if not name.startswith(cls.family):
            raise UserError(f"{checkpoint.path}: is a {name}, not a {cls.__name__}")
        return cls(checkpoint)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def heads(self) -> list[str]:
        """Names of the heads that the checkpoint has."""
        return list(self.model.heads)

    def own_head(self, method: str) -> str:
        """The head of the checkpoint's task, if that is asked by ``method``; else a UserError."""
        asked, name = self.task.asked, self.task.name
        if asked == method:
            return str(name)
        remedy = f"use {asked}" if asked else "use match or fill_mask"
        raise UserError(f"a checkpoint of task {name} is not asked by {method}: {remedy}")

    def answer(self, image: ImageInputs, question: str | Sequence[str], topk: int = 5) -> Any:
        """The ``topk`` best answers with their probabilities: ``[("2", 0.91), ...]``.

        The probability of each answer is its own (a sigmoid): they need not sum to one; those of
        ALBEF's decoder sum to one over the answers that it ranked. Lists of images, questions or
        both (a single one goes with all of the others) give a list of such lists. Raises UserError
        if the checkpoint is of another task.
        """
        topk = check_topk(topk)
        if "answers" in self.model.heads:
            return self._ranked_answers(image, question, topk)
        images, questions, single = paired(image, question)
        logits = self._logits(self.own_head("answer"), [images], questions)
        best = [self._rank(row.sigmoid(), self.task.labels, topk) for row in logits]
        return best[0] if single else best

    def _ranked_answers(self, image: ImageInputs, question: str | Sequence[str], topk: int) -> Any:
        images, texts, single = paired(image, question)
        tokens = [self.encode(text) for text in texts]
        best: list[Ranked] = []
        for start in range(0, len(texts), BATCH):
            part = slice(start, start + BATCH)
            classes, scores = self.model.rank_answers(
                self._pad(tokens[part]).to(self.device),
                self._stack([images[part]]).to(self.device),
                self.task.candidates(),
                max(topk, self.task.cfg.rank_top_k),
                self.task.cfg.first_token_twice,
            )
            for row, values in zip(classes.tolist(), scores.exp().tolist(), strict=True):
                answers = [self.task.labels[number] for number in row]
                best.append(list(zip(answers, values, strict=True))[:topk])
        return best[0] if single else best

    def classify(self, image: ImageInputs, text: str | Sequence[str], topk: int = 5) -> Any:
        """The ``topk`` likeliest classes: ``[("entailment", 0.8), ("neutral", 0.1), ...]``.

        For SNLI-VE and your own classes, whose probabilities sum to one. A list of lists for
        lists. Raises UserError if the checkpoint is of another task.
        """
        topk = check_topk(topk)
        images, texts, single = paired(image, text)
        return self._classes(self.own_head("classify"), [images], texts, single, topk)

    def classify_pair(
        self, left: ImageInputs, right: ImageInputs, text: str | Sequence[str], topk: int = 5
    ) -> Any:
        """As ``classify`` for a text about two images (NLVR2)."""
        topk = check_topk(topk)
        lefts, texts, single = paired(left, text)
        rights, texts, alone = paired(right, texts[0] if single else texts)
        if len(lefts) != len(rights):
            raise UserError(
                f"{len(lefts)} left and {len(rights)} right images: give the same number of each"
            )
        head = self.own_head("classify_pair")
        return self._classes(head, [lefts, rights], texts, single and alone, topk)

    def _classes(
        self, head: str, images: list[list[GivenImage]], texts: list[str], single: bool, topk: int
    ) -> Any:
        logits = self._logits(head, images, texts)
        best = [self._rank(row.softmax(dim=-1), self.task.labels, topk) for row in logits]
        return best[0] if single else best

    def match(self, image: ImageInputs, text: str | Sequence[str]) -> Any:
        """The probability that text and image belong together; a list for lists.

        Raises UserError if the checkpoint has no image-text matching head.
        """
        images, texts, single = paired(image, text)
        logits = self._logits("itm", [images], texts)
        matches = logits.softmax(dim=-1)[:, MATCH].tolist()
        return matches[0] if single else matches

    def fill_mask(self, image: ImageInputs, text: str | Sequence[str], topk: int = 5) -> Any:
        """The ``topk`` best tokens for the one mask in the text with their probabilities.

        The mask is written as the tokenizer writes it (``mask_token``), or as ``<mask>``. A list of
        lists for lists. Raises UserError without an MLM head, or not exactly one mask in a text.
        """
        topk = check_topk(topk)
        images, texts, single = paired(image, text)
        logits = self._logits("mlm", [images], texts, masked=True)
        symbols = self.task.tokenizer.symbols
        best = [self._rank(row.softmax(dim=-1), symbols, topk) for row in logits]
        return best[0] if single else best

    @property
    def mask_token(self) -> str:
        """How the tokenizer writes a masked token."""
        return str(self.task.tokenizer.symbols[self.task.tokenizer.mask])

    def encode(self, text: str, masked: bool = False) -> Tensor:
        """<s> text </s> as (T,) ids, cut to the text length of training.

        With ``masked``, the mask written in the text becomes the mask token.
        """
        text = check_text(text)
        words = self._encode_masked(text) if masked else self._words(text)
        if not words:
            raise UserError(f"{text!r} is an empty text")
        dictionary = self.task.source_dictionary
        words = words[: self.task.text_limit - 2]
        return torch.tensor([dictionary.bos(), *words, dictionary.eos()])

    def _words(self, text: str) -> list[int]:
        """Ids of a text, cleaned as those of training were."""
        return self.task.tokenizer.encode(cleaned(text, self.task.text_cleaning))

    def _encode_masked(self, text: str) -> list[int]:
        tokenizer = self.task.tokenizer
        parts = text.replace("<mask>", self.mask_token).split(self.mask_token)
        if len(parts) != 2:
            raise UserError(
                f"{text!r} has {len(parts) - 1} masks: write {self.mask_token} exactly once"
            )
        # A token holds the space before it, so the mask's own goes with the mask.
        before = self._words(parts[0].rstrip()) if parts[0].strip() else []
        after = self._words(parts[1]) if parts[1].strip() else []
        words = [*before, tokenizer.mask, *after]
        if words.index(tokenizer.mask) >= self.task.text_limit - 2:
            raise UserError(f"the mask lies beyond the model's {self.task.text_limit} tokens")
        return words

    def load_image(self, image: ImageInput | GivenImage) -> Tensor:
        """An image of any kind -> (3, H, W) uint8, transformed as in evaluation."""
        given = take_image(image, "the image")
        rng = np.random.default_rng(0)  # evaluation draws nothing
        return self.transform(given.rgb(self.transform.min_side), rng)

    @torch.no_grad()
    def _logits(
        self, head: str, images: list[list[GivenImage]], texts: list[str], masked: bool = False
    ) -> Tensor:
        """Logits (B, C) in float32 on the CPU; ``images`` holds a list for every place of a sample.

        With ``masked``, those of the one mask in every text.
        """
        if head not in self.model.heads:
            heads = ", ".join(self.heads) or "none"
            raise UserError(f"this checkpoint has no {head!r} head; its heads: {heads}")
        tokens = [self.encode(one, masked) for one in texts]
        rows = []
        for start in range(0, len(tokens), BATCH):
            part = slice(start, start + BATCH)
            output = self.model(
                self._pad(tokens[part]).to(self.device),
                self._stack([column[part] for column in images]).to(self.device),
                classification_head_name=head,
            )
            logits = output.logits.float().cpu()
            if masked:
                where = [int((t == self.task.tokenizer.mask).nonzero()[0]) for t in tokens[part]]
                logits = logits[torch.arange(len(where)), torch.tensor(where)]
            rows.append(logits)
        return torch.cat(rows)

    def _pad(self, tokens: list[Tensor]) -> Tensor:
        pad = self.task.source_dictionary.pad()
        return nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=pad)

    def _stack(self, images: list[list[GivenImage]]) -> Tensor:
        """(B, n, 3, H, W) uint8; an image that comes many times is decoded once."""
        done: dict[int, Tensor] = {}
        for image in chain(*images):
            if id(image.source) not in done:
                done[id(image.source)] = self.load_image(image)
        columns = [torch.stack([done[id(image.source)] for image in column]) for column in images]
        return torch.stack(columns, dim=1)

    @staticmethod
    def _rank(probabilities: Tensor, names: list[str], topk: int) -> Ranked:
        values, indices = probabilities.topk(min(topk, len(names)))
        return [(names[i], p) for i, p in zip(indices.tolist(), values.tolist(), strict=True)]


class ManagerTower(HubInterface):
    """A trained ManagerTower.

    >>> model = ManagerTower.from_pretrained("checkpoints/vqa")  # doctest: +SKIP
    >>> model.answer("photo.jpg", "How many dogs are there?", topk=2)  # doctest: +SKIP
    [('2', 0.91), ('3', 0.06)]
    """

    family = "managertower"


class BridgeTower(HubInterface):
    """A trained BridgeTower; used as :class:`ManagerTower`."""

    family = "bridgetower"


class Meter(HubInterface):
    """A trained METER; used as :class:`ManagerTower`."""

    family = "meter"


class Albef(HubInterface):
    """A trained ALBEF; used as :class:`ManagerTower`."""

    family = "albef"
