"""Trained models on pictures and texts of one's own: ``ManagerTower.from_pretrained(...)``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from mt_fairseq.data.decode import decode_image, to_rgb
from mt_fairseq.data.transforms import build_transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import LoadedCheckpoint, load_checkpoint
from mt_fairseq.models.matching import MATCH

Picture = str | Path | bytes | Image.Image
Ranked = list[tuple[str, float]]
Hub = TypeVar("Hub", bound="HubInterface")

BATCH = 32  # pairs a forward pass, which bounds memory however many are asked for


class HubInterface(nn.Module):
    """A model with its tokenizer, labels and image transform, from a checkpoint alone.

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
    def from_pretrained(cls: type[Hub], path: str | Path) -> Hub:
        """Load a checkpoint, the best (else the last) one of a folder, or an exported folder.

        Raises UserError if it is missing, damaged or of another family of models.
        """
        checkpoint = load_checkpoint(path)
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

    # --- what one asks of it ---

    def answer(
        self,
        image: Picture | Sequence[Picture],
        question: str | Sequence[str],
        topk: int = 5,
    ) -> Any:
        """The ``topk`` best answers with their probabilities: ``[("2", 0.91), ...]``.

        The probability of each answer is its own (a sigmoid): they need not sum to one; those of
        ALBEF's decoder sum to one over the answers that it ranked. Lists of pictures, questions or
        both (a single one goes with all of the others) give a list of such lists. Raises UserError
        if the checkpoint has no VQA head.
        """
        if "answers" in self.model.heads:
            return self._ranked_answers(image, question, topk)
        logits, single = self._logits("vqa", image, question)
        labels = self.task.labels
        best = [self._rank(row.sigmoid(), labels, topk) for row in logits]
        return best[0] if single else best

    def _ranked_answers(
        self, image: Picture | Sequence[Picture], question: str | Sequence[str], topk: int
    ) -> Any:
        images, texts, single = _pair(image, question)
        best: list[Ranked] = []
        for start in range(0, len(texts), BATCH):
            part = slice(start, start + BATCH)
            tokens = self._pad([self.encode(text) for text in texts[part]])
            classes, scores = self.model.rank_answers(
                tokens.to(self.device),
                self._stack(images[part]).to(self.device),
                self.task.candidates(),
                max(topk, self.task.cfg.rank_top_k),
                self.task.cfg.first_token_twice,
            )
            for row, values in zip(classes.tolist(), scores.exp().tolist(), strict=True):
                answers = [self.task.labels[number] for number in row]
                best.append(list(zip(answers, values, strict=True))[:topk])
        return best[0] if single else best

    def match(self, image: Picture | Sequence[Picture], text: str | Sequence[str]) -> Any:
        """The probability that text and picture belong together; a list for lists.

        Raises UserError if the checkpoint has no image-text matching head.
        """
        logits, single = self._logits("itm", image, text)
        matches = logits.softmax(dim=-1)[:, MATCH].tolist()
        return matches[0] if single else matches

    def fill_mask(
        self, image: Picture | Sequence[Picture], text: str | Sequence[str], topk: int = 5
    ) -> Any:
        """The ``topk`` best tokens for the one mask in the text with their probabilities.

        The mask is written as the tokenizer writes it (``mask_token``), or as ``<mask>``. A list of
        lists for lists. Raises UserError without an MLM head, or not exactly one mask in a text.
        """
        logits, single = self._logits("mlm", image, text, masked=True)
        symbols = self.task.tokenizer.symbols
        best = [self._rank(row.softmax(dim=-1), symbols, topk) for row in logits]
        return best[0] if single else best

    @property
    def mask_token(self) -> str:
        """How the tokenizer writes a masked token."""
        return str(self.task.tokenizer.symbols[self.task.tokenizer.mask])

    # --- inputs ---

    def encode(self, text: str, masked: bool = False) -> Tensor:
        """<s> text </s> as (T,) ids, cut to the text length of training.

        With ``masked``, the mask written in the text becomes the mask token.
        """
        words = self._encode_masked(text) if masked else self.task.tokenizer.encode(text)
        if not words:
            raise UserError(f"{text!r} is an empty text")
        dictionary = self.task.source_dictionary
        words = words[: self.task.text_limit - 2]
        return torch.tensor([dictionary.bos(), *words, dictionary.eos()])

    def _encode_masked(self, text: str) -> list[int]:
        tokenizer = self.task.tokenizer
        parts = text.replace("<mask>", self.mask_token).split(self.mask_token)
        if len(parts) != 2:
            raise UserError(
                f"{text!r} has {len(parts) - 1} masks: write {self.mask_token} exactly once"
            )
        # A token holds the space before it, so the mask's own goes with the mask.
        before = tokenizer.encode(parts[0].rstrip()) if parts[0].strip() else []
        after = tokenizer.encode(parts[1]) if parts[1].strip() else []
        words = [*before, tokenizer.mask, *after]
        if words.index(tokenizer.mask) >= self.task.text_limit - 2:
            raise UserError(f"the mask lies beyond the model's {self.task.text_limit} tokens")
        return words

    def load_image(self, image: Picture) -> Tensor:
        """A path, encoded bytes or a Pillow image -> (3, H, W) uint8, transformed as in evaluation.

        Raises UserError if it is missing or no image.
        """
        if isinstance(image, Image.Image):
            picture = to_rgb(ImageOps.exif_transpose(image))
        elif isinstance(image, bytes):
            picture = decode_image(image, "the given bytes", self.transform.min_side)
        else:
            try:
                data = Path(image).read_bytes()
            except OSError as error:
                raise UserError(f"{image}: can't be read ({error.strerror})") from error
            picture = decode_image(data, str(image), self.transform.min_side)
        return self.transform(picture, np.random.default_rng(0))  # draws nothing in evaluation

    # --- the forward pass ---

    @torch.no_grad()
    def _logits(
        self,
        head: str,
        image: Picture | Sequence[Picture],
        text: str | Sequence[str],
        masked: bool = False,
    ) -> tuple[Tensor, bool]:
        """Logits (B, C) in float32 on the CPU, and whether one pair was asked for."""
        if head not in self.model.heads:
            heads = ", ".join(self.heads) or "none"
            raise UserError(f"this checkpoint has no {head!r} head; its heads: {heads}")
        images, texts, single = _pair(image, text)
        tokens = [self.encode(one, masked) for one in texts]
        rows = []
        for start in range(0, len(tokens), BATCH):
            part = slice(start, start + BATCH)
            output = self.model(
                self._pad(tokens[part]).to(self.device),
                self._stack(images[part]).to(self.device),
                classification_head_name=head,
            )
            logits = output.logits.float().cpu()
            if masked:
                where = [int((t == self.task.tokenizer.mask).nonzero()[0]) for t in tokens[part]]
                logits = logits[torch.arange(len(where)), torch.tensor(where)]
            rows.append(logits)
        return torch.cat(rows), single

    def _pad(self, tokens: list[Tensor]) -> Tensor:
        pad = self.task.source_dictionary.pad()
        return nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=pad)

    def _stack(self, images: list[Picture]) -> Tensor:
        """(B, 1, 3, H, W) uint8; a picture that comes many times is decoded once."""
        done: dict[int, Tensor] = {}
        for image in images:
            if id(image) not in done:
                done[id(image)] = self.load_image(image)
        return torch.stack([done[id(image)] for image in images]).unsqueeze(1)

    @staticmethod
    def _rank(probabilities: Tensor, names: list[str], topk: int) -> Ranked:
        values, indices = probabilities.topk(min(topk, len(names)))
        return [(names[i], p) for i, p in zip(indices.tolist(), values.tolist(), strict=True)]


def _pair(
    image: Picture | Sequence[Picture], text: str | Sequence[str]
) -> tuple[list[Picture], list[str], bool]:
    """Equally long lists, and whether both arguments were single ones."""
    one_image = isinstance(image, (str, Path, bytes, Image.Image))
    one_text = isinstance(text, str)
    images: list[Any] = [image] if one_image else list(image)  # type: ignore[arg-type]
    texts: list[str] = [text] if isinstance(text, str) else list(text)
    if not images or not texts:
        raise UserError("no pictures or no texts given")
    count = max(len(images), len(texts))
    if one_image:
        images = images * count
    if one_text:
        texts = texts * count
    if len(images) != len(texts):
        raise UserError(f"{len(images)} pictures and {len(texts)} texts: give as many of each")
    return images, texts, one_image and one_text


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
