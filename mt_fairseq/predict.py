"""``python -m mt_fairseq.predict``: one picture, one text, what the model says."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mt_fairseq.command_line import Parser, positive_int
from mt_fairseq.data.answers import shown_answer
from mt_fairseq.errors import UserError, cli_entry
from mt_fairseq.quiet import quiet_libraries

if TYPE_CHECKING:
    from torch import nn

    from mt_fairseq.models.hub import HubInterface
    from mt_fairseq.models.hub_images import GivenImage, ImageInput

EPILOG = """\
What happens follows from the checkpoint's heads and the text:
  a VQA checkpoint          answers the question
  an SNLI-VE checkpoint     names the likeliest classes (also those of your own labels)
  an NLVR2 checkpoint       does so for a text about two pictures: --image LEFT --image RIGHT
  a pre-trained one         says how well text and picture match (0 to 1),
                            or fills the mask if the text has one

examples:
  python -m mt_fairseq.predict checkpoints/vqa --image photo.jpg --text "What colour is the cat?"
  python -m mt_fairseq.predict checkpoints/pretrain --image photo.jpg --text "a cat on a mat"
  python -m mt_fairseq.predict checkpoints/pretrain --image photo.jpg --text "a <mask> on a mat"
  python -m mt_fairseq.predict checkpoints/vqa --image 1.jpg --image 2.jpg --text "Day?" --json
  python -m mt_fairseq.predict checkpoints/nlvr2 --image 1.jpg --image 2.jpg --text "Two cats."
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mt_fairseq.predict",
        description="Ask a trained model about pictures of your own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        help="checkpoint file, or a folder with checkpoint_best.pt or checkpoint_last.pt",
    )
    parser.add_argument(
        "--image", action="append", required=True, metavar="FILE", help="picture; repeat for more"
    )
    parser.add_argument("--text", required=True, help="question, caption, or caption with a mask")
    parser.add_argument("--topk", type=positive_int, default=5, help="answers to show (default: 5)")
    parser.add_argument(
        "--ema", action="store_true", help="take the averaged weights that --store-ema kept"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a picture")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, ...")
    return parser


def choose(hub: HubInterface, text: str) -> str:
    """What to do with the text: "answer", "classify", "classify_pair", "fill_mask" or "match".

    Raises UserError if the checkpoint has none of the heads for it.
    """
    if hub.task.asked and hub.heads:
        return str(hub.task.asked)
    if "mlm" in hub.heads and ("<mask>" in text or hub.mask_token in text):
        return "fill_mask"
    if "itm" in hub.heads:
        return "match"
    raise UserError(
        f"this checkpoint's heads ({', '.join(hub.heads) or 'none'}) can't be asked here; "
        "a task with classes of its own, mlm or itm is needed"
    )


def predict(
    hub: HubInterface, action: str, images: Sequence[ImageInput | GivenImage], text: str, topk: int
) -> list[Any]:
    """What the model says about each image: ranked pairs, or a probability for "match".

    "classify_pair" takes its two images as one sample; UserError for another number of them.
    """
    if action == "match":
        return list(hub.match(images, text))
    if action == "classify_pair":
        if len(images) != 2:
            raise UserError(f"{len(images)} images: this checkpoint takes two, --image twice")
        left, right = images
        return [hub.classify_pair(left, right, text, topk=topk)]
    asks = {"answer": hub.answer, "classify": hub.classify, "fill_mask": hub.fill_mask}
    return list(asks[action](images, text, topk=topk))


def show(image: str, action: str, result: Any) -> str:
    """Lines for a person to read."""
    if action == "match":
        return f"{image}: text and picture match with probability {result:.4f}"
    lines = [f"{probability:8.4f}  {shown_answer(name)}" for name, probability in result]
    return "\n".join([f"{image}:", *lines])


def as_record(image: str, text: str, action: str, result: Any) -> dict[str, Any]:
    """The same for ``--json``."""
    record: dict[str, Any] = {"image": image, "text": text, "action": action}
    if action == "match":
        return record | {"probability": result}
    return record | {"predictions": [{"text": name, "probability": p} for name, p in result]}


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    quiet_libraries()
    # after the options, so that --help is quick
    from mt_fairseq.models.hub import HubInterface
    from mt_fairseq.models.hub_images import take_image

    images = [take_image(image, "--image") for image in args.image]
    hub = HubInterface.from_pretrained(args.checkpoint, ema=args.ema)
    move(hub, args.device)
    action = choose(hub, args.text)
    results = predict(hub, action, images, args.text, args.topk)
    names = [", ".join(args.image)] if action == "classify_pair" else args.image
    for image, result in zip(names, results, strict=True):
        if args.json:
            print(json.dumps(as_record(image, args.text, action, result), ensure_ascii=False))
        else:
            print(show(image, action, result))
    return 0


def move(module: nn.Module, device: str) -> None:
    """Move a model; UserError if torch has no such device."""
    try:
        module.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {device}: torch can't use it ({reason})") from error


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
