"""ALBEF's training steps written plainly, one sample and one key after the other.

Of the code under test only the network and its heads are used here, which the reference tensors
check; losses, targets, draws, queues and the momentum model are written anew, in loops.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from mt_fairseq.models.albef.model import AlbefModel
from tests.albef.small import SIZES

Sample = dict[str, Any]
NOBODY = -100  # number of a queue row that was never filled, or filled in pre-training
Row = tuple[Tensor, Tensor, int]  # features of an image and its text, number of the image


def log_softmax(row: Tensor) -> Tensor:
    """Logits (n,) -> log probabilities."""
    return row - row.max() - (row - row.max()).exp().sum().log()


def cross_entropy(row: Tensor, targets: Tensor) -> Tensor:
    return -(targets * log_softmax(row)).sum()


def one_hot(label: int, classes: int) -> Tensor:
    return torch.tensor([float(number == label) for number in range(classes)])


def mixed(row: Tensor, label: int, teacher: Tensor | None, alpha: float) -> Tensor:
    """(1 - alpha) H(y, p) + alpha H(q, p): the talk's formula but for the entropy of q."""
    hard = cross_entropy(row, one_hot(label, len(row)))
    if teacher is None:
        return hard
    return (1 - alpha) * hard + alpha * cross_entropy(row, log_softmax(teacher).exp())


def draw(weights: list[float], number: float) -> int | None:
    """The first place at which the sum of weights passes ``number`` of the whole."""
    passed = 0.0
    for place, weight in enumerate(weights):
        passed += weight
        if weight and passed > number * sum(weights):
            return place
    return None


class Plain:
    """A model and what surrounds it: its teacher, the queue, the updates done."""

    def __init__(self, model: AlbefModel, updates_an_epoch: int) -> None:
        self.model = model
        self.teacher = copy.deepcopy(model.twin)
        self.momentum = float(model.cfg.momentum)
        self.updates_an_epoch = updates_an_epoch
        self.alpha = 0.0
        self.pointer = 0
        self.rows: list[Row] = []
        if model.queue is not None:
            pairs = zip(model.queue.images.clone(), model.queue.texts.clone(), strict=True)
            self.rows = [(image, text, NOBODY) for image, text in pairs]

    def begin(self, update: int) -> None:
        """The ramp, the temperature's bounds, and the teacher's step after the last update."""
        self.alpha = 0.4 * min(1.0, update / self.updates_an_epoch)
        if self.teacher is None:
            return
        online = dict(self.model.named_parameters())
        with torch.no_grad():
            if self.rows:
                temperature = online["heads.itc.temperature"]
                temperature.fill_(min(max(float(temperature), 0.001), 0.5))
            for name, parameter in self.teacher.named_parameters():
                moved = self.momentum * parameter + (1 - self.momentum) * online[name]
                parameter.copy_(moved)

    def loss(self, kind: str, sample: Sample) -> Tensor:
        """The sum over a share's samples."""
        return getattr(self, kind)(sample["net_input"], sample)

    # --- aligned texts and images ---

    def pretraining(self, inputs: Sample, sample: Sample) -> Tensor:
        return self.aligned(inputs) + self.words(inputs)

    def retrieval(self, inputs: Sample, sample: Sample) -> Tensor:
        return self.aligned(inputs)

    def features(self, side: Any, inputs: Sample) -> tuple[list[Tensor], list[Tensor]]:
        """Of images and texts: projections of position 0, of length one."""
        head = side.heads["itc"]
        found = []
        for states, projection in (
            (side.network.encode_images(inputs["images"]).last, head.image),
            (side.network.encode_text(inputs["src_tokens"]).last, head.text),
        ):
            raw = [projection.weight @ state[0] + projection.bias for state in states]
            found.append([row / (row * row).sum().sqrt() for row in raw])
        return found[0], found[1]

    def numbers(self, inputs: Sample) -> list[int]:
        """Which image each pair has; in pre-training all differ, and from the queue's."""
        groups = inputs.get("image_groups")
        return list(range(len(inputs["images"]))) if groups is None else groups.tolist()

    def aligned(self, inputs: Sample) -> Tensor:
        images, texts = self.features(self.model, inputs)
        with torch.no_grad():
            own_images, own_texts = self.features(self.teacher, inputs)
        numbers = self.numbers(inputs)
        keys = numbers + [number for _, _, number in self.rows]
        image_keys = own_images + [row[0] for row in self.rows]
        text_keys = own_texts + [row[1] for row in self.rows]
        temperature = self.model.heads["itc"].temperature
        total, logits = torch.zeros(()), []
        for queries, teachers, others in (
            (texts, own_texts, image_keys),
            (images, own_images, text_keys),
        ):
            logits.append([])
            for query, teacher, number in zip(queries, teachers, numbers, strict=True):
                row = torch.stack([query @ key for key in others]) / temperature
                taught = torch.stack([teacher @ key for key in others]) / temperature.detach()
                right = torch.tensor([float(key == number) for key in keys])
                targets = self.alpha * log_softmax(taught).exp()
                targets = targets + (1 - self.alpha) * right / right.sum()
                total = total + cross_entropy(row, targets) / 2
                logits[-1].append(row)
        return total + self.matched(inputs, numbers, *logits)

    def matched(
        self, inputs: Sample, numbers: list[int], of_text: list[Tensor], of_image: list[Tensor]
    ) -> Tensor:
        """A third for each: the true pair, the text's drawn image, the image's drawn text."""
        count, total = len(numbers), torch.zeros(())
        for i in range(count):
            total = total + self.match(inputs, i, i, 1) / 3
            for rows, column in ((of_text, 0), (of_image, 1)):
                weights = [
                    float(rows[i][j].double().exp()) if numbers[j] != numbers[i] else 0.0
                    for j in range(count)
                ]
                drawn = draw(weights, float(inputs["draws"][i, column]))
                if drawn is not None:
                    text, image = (i, drawn) if column == 0 else (drawn, i)
                    total = total + self.match(inputs, text, image, 0) / 3
        return total

    def match(self, inputs: Sample, text: int, image: int, label: int) -> Tensor:
        pooled = self.fused(self.model, inputs, text, [image])[0]
        head = self.model.heads["itm"]
        return cross_entropy(head.weight @ pooled + head.bias, one_hot(label, 2))

    def fused(
        self, side: Any, inputs: Sample, text: int, images: list[int], tokens: str = "src_tokens"
    ) -> Tensor:
        """(T, D) of one text with the first picture of one row, or of two."""
        states = side.network.encode_text(inputs[tokens][text : text + 1])
        pictures = [side.network.encode_images(inputs["images"][i : i + 1, :1]) for i in images]
        return side.network.fuse_sets(states, pictures).text[0]

    def words(self, inputs: Sample) -> Tensor:
        """The mean over each text's masked words; nothing for a text without."""
        total = torch.zeros(())
        masked = inputs["masked_words"]
        for i in sorted(set(masked["rows"].tolist())):
            own = masked["rows"] == i
            places, words = masked["positions"][own].tolist(), masked["words"][own].tolist()
            rows = [
                side.heads["mlm"](
                    self.fused(side, inputs, i, [i], "masked_tokens"), side.network.words
                )
                for side in (self.model, self.teacher)
            ]
            for place, word in zip(places, words, strict=True):
                taught = rows[1][place].detach()
                total = total + mixed(rows[0][place], word, taught, self.alpha) / len(places)
        return total

    def enqueue(self, samples: list[Sample]) -> None:
        """All processes' features in the order of their ranks, going round."""
        for sample in samples:
            inputs = sample["net_input"]
            with torch.no_grad():
                images, texts = self.features(self.teacher, inputs)
            known = "image_groups" in inputs
            numbers = self.numbers(inputs) if known else [NOBODY] * len(images)
            for row in zip(images, texts, numbers, strict=True):
                self.rows[self.pointer] = row
                self.pointer = (self.pointer + 1) % SIZES["queue_size"]

    # --- classes, pairs, answers ---

    def classes(self, inputs: Sample, sample: Sample) -> Tensor:
        total = torch.zeros(())
        for i, label in enumerate(sample["labels"].tolist()):
            rows = [
                side.heads["snli_ve"](self.fused(side, inputs, i, [i])[0])
                for side in (self.model, self.teacher)
            ]
            if label >= 0:
                total = total + mixed(rows[0], label, rows[1].detach(), self.alpha)
        return total

    def pairs(self, inputs: Sample, sample: Sample) -> Tensor:
        """Draws of a row: kind of pair, order, first and second negative."""
        with torch.no_grad():
            images, _ = self.features(self.model, inputs)
        numbers, total = self.numbers(inputs), torch.zeros(())
        for i, draws in enumerate(inputs["draws"].tolist()):
            weights = [
                float((images[i] @ image / 0.07).double().exp()) if number != numbers[i] else 0.0
                for image, number in zip(images, numbers, strict=True)
            ]
            first = draw(weights, draws[2])
            if first is None:
                continue
            rest = [
                0.0 if number == numbers[first] else weight
                for weight, number in zip(weights, numbers, strict=True)
            ]
            second = draw(rest, draws[3])
            if draws[0] < 2 / 3:
                pair, label = ([i, first], 0) if draws[1] < 0.5 else ([first, i], 1)
            elif second is None:
                continue
            else:
                pair, label = [first, second], 2
            head = self.model.heads["pairs"]
            pooled = self.fused(self.model, inputs, i, pair)[0]
            row = head.weight @ pooled + head.bias
            total = total + cross_entropy(row, one_hot(label, 3))
        return total

    def answers(self, inputs: Sample, sample: Sample) -> Tensor:
        total = torch.zeros(())
        given = zip(inputs["answer_tokens"], inputs["answer_rows"].tolist(), strict=True)
        for number, (tokens, question) in enumerate(given):
            answer = tokens[tokens != 0]
            logits = []
            for side in (self.model, self.teacher):
                states = self.fused(side, inputs, question, [question])[None]
                mask = inputs["src_tokens"][question : question + 1] != 0
                logits.append(side.heads["answers"](answer[None], states, mask)[0])
            for place, word in enumerate(answer[1:].tolist()):
                taught = logits[1][place].detach()
                loss = mixed(logits[0][place], word, taught, self.alpha)
                total = total + sample["answer_weights"][number] * loss
        return total
