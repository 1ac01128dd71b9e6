"""The Python interface takes images of every kind alike, and says in one line what it does not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mt_fairseq import ManagerTower
from mt_fairseq.errors import UserError
from tests import support

QUESTION = "what colour is the square ?"


@pytest.fixture(scope="module")
def vqa(vqa_checkpoint):
    return ManagerTower.from_pretrained(vqa_checkpoint)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("images") / "red.png"
    support.draw_square(path, "red", 0)
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def with_alpha(path: Path) -> np.ndarray:
    return np.dstack([pixels(path), np.full(pixels(path).shape[:2], 255, np.uint8)])


def tensor(path: Path) -> torch.Tensor:
    return torch.from_numpy(pixels(path).copy()).permute(2, 0, 1)


def written(path: Path) -> io.BytesIO:
    """As a program leaves it that has just saved an image: its place is at the end."""
    stream = io.BytesIO()
    Image.open(path).save(stream, "PNG")
    return stream


class Pipe(io.BytesIO):
    """A stream that can be read once."""

    def seekable(self) -> bool:
        return False


ALIKE: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "pillow": Image.open,
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "stream": written,
    "pipe": lambda path: Pipe(path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "array": pixels,
    "array of int64": lambda path: pixels(path).astype(np.int64),
    "array of floats": lambda path: pixels(path) / 255,
    "array of 16 bits": lambda path: pixels(path).astype(np.uint16) * 257,
    "array of other strides": lambda path: np.asfortranarray(pixels(path)),
    "array with alpha": with_alpha,
    "tensor": tensor,
    "tensor of floats": lambda path: tensor(path).float() / 255,
    "tensor that learns": lambda path: (tensor(path).double() / 255).requires_grad_(),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_every_kind_of_image_gives_the_same_pixels(vqa, path, kind: str) -> None:
    assert torch.equal(vqa.load_image(ALIKE[kind](path)), vqa.load_image(path))


def test_streams_may_be_given_again(vqa, path) -> None:
    stream = written(path)
    assert vqa.answer(stream, QUESTION) == vqa.answer(stream, QUESTION)
    several = vqa.answer([Pipe(path.read_bytes()), path, pixels(path)], QUESTION, topk=1)
    assert len({answers[0][0] for answers in several}) == 1


@pytest.mark.parametrize("shape", [(32, 40), (32, 40, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, bool])
def test_grey_arrays(vqa, shape: tuple[int, ...], kind: type) -> None:
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    eight = grey.astype(np.uint8) * 255 if kind is bool else grey.astype(np.uint8)
    wanted = vqa.load_image(Image.fromarray(eight.reshape(32, 40)))
    assert torch.equal(vqa.load_image(grey), wanted)
    given = grey.astype(np.int32) if kind is np.uint16 else grey  # torch has no such operations
    turned = torch.from_numpy(given)
    assert torch.equal(vqa.load_image(turned if turned.ndim == 2 else turned[..., 0][None]), wanted)


def test_bfloat16(vqa) -> None:
    assert vqa.load_image(torch.ones(3, 8, 8, dtype=torch.bfloat16)).min() == 255


NO_IMAGES: list[tuple[Any, str]] = [
    (None, "NoneType is not an image: give a path, encoded bytes"),
    (3, "int is not an image"),
    ({"image": 1}, "dict is not an image"),
    ({"a.png", "b.png"}, "set is not an image"),
    ([], "no images or no texts"),
    ([None], "image 1 of 1: NoneType is not an image"),
    ([[np.zeros((4, 4))]], "image 1 of 1: list is not an image"),
    ("", r"\.: is a folder"),
    ("no\0thing.png", "can't be read"),
    ("none.png", "none.png: can't be read"),
    (b"", "the image: the image file is empty"),
    (io.StringIO("x"), "opened as text; open it with 'rb'"),
    (np.zeros((3, 32, 32)), r"an array of shape \(3, 32, 32\): one image is \(H, W\) or"),
    (np.zeros((2, 8, 8, 3)), "of several, give a list"),
    (np.zeros((8, 8, 2)), "C = 1, 3 or 4"),
    (np.zeros((0, 8, 3)), "no pixels"),
    (np.zeros(()), "one image is"),
    (np.full((8, 8, 3), 200.0), "floating-point pixels from 200 to 200: give whole numbers"),
    (np.full((8, 8, 3), np.nan), "floating-point pixels from nan"),
    (np.full((8, 8, 3), -1), "pixels from -1 to -1"),
    (np.full((8, 8, 3), 2**40), "pixels from 1099511627776"),
    (np.full((8, 8, 3), 1j), "pixels of type complex128"),
    (np.full((8, 8, 3), "x"), "pixels of type <U1"),
    (torch.zeros(32, 32, 3), r"a tensor of shape \(32, 32, 3\): one image is \(H, W\) or \(C,"),
    (torch.zeros(2, 3, 8, 8), "of several, give a list"),
    (torch.full((3, 8, 8), -0.5), "floating-point pixels from -0.5"),
    (torch.zeros(3, 8, 8).to_sparse(), "a tensor without pixels"),
    (torch.zeros(3, 8, 8, device="meta"), "a tensor without pixels"),
    (Image.new("RGB", (0, 4)), "no pixels"),
    (Image.new("F", (4, 4), 99.0), "floating-point pixels from 99 to 99"),
]


@pytest.mark.parametrize(("image", "reason"), NO_IMAGES, ids=[reason for _, reason in NO_IMAGES])
def test_what_is_no_image(vqa, image: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as told:
        vqa.answer(image, QUESTION)
    assert "\n" not in str(told.value)
    with pytest.raises(UserError):
        vqa.load_image(image)


def test_closed_files_and_damaged_images(vqa, path) -> None:
    closed = path.open("rb")
    closed.close()
    with pytest.raises(UserError, match=r"red\.png: can't be read"):
        vqa.answer(closed, QUESTION)
    cut = Image.open(io.BytesIO(path.read_bytes()[:300]))
    with pytest.raises(UserError, match="image 2 of 2: the image is damaged"):
        vqa.answer([path, cut], QUESTION)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "NoneType is not a text: give a string, or a list"),
        (b"what ?", "bytes is not a text"),
        (5, "int is not a text"),
        ([], "no images or no texts"),
        ([None], "None is not text"),
        ([QUESTION, 5], "5 is not text"),
        ({QUESTION}, "set is not a text"),
        ("half \ud800", r"'half \\ud800' holds half a surrogate pair"),
        (["", QUESTION], "'' is an empty text"),
    ],
)
def test_what_is_no_text(vqa, path, text: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        vqa.answer(path, text)
    if not isinstance(text, list):
        with pytest.raises(UserError, match=r"is not (a )?text|half a surrogate pair"):
            vqa.encode(text)


@pytest.mark.parametrize("topk", [0, -1, 2.0, "3", None, True])
def test_topk_is_a_whole_number_from_one(vqa, path, topk: Any) -> None:
    asks = [vqa.answer, vqa.classify, vqa.fill_mask]
    for ask in asks:
        with pytest.raises(UserError, match=r"topk .*must be a whole number, at least 1"):
            ask(path, QUESTION, topk=topk)
    with pytest.raises(UserError, match="must be a whole number"):
        vqa.classify_pair(path, path, QUESTION, topk=topk)


def test_topk_of_numpy(vqa, path) -> None:
    assert vqa.answer(path, QUESTION, topk=np.int64(2)) == vqa.answer(path, QUESTION, topk=2)


@pytest.mark.parametrize("path", [None, 3, b"checkpoints", ["a.pt"]])
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(UserError, match="is not a path: name a checkpoint"):
        ManagerTower.from_pretrained(path)
