"""``python -m mt_fairseq.demo CHECKPOINT``: try a model on a local web page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mt_fairseq.command_line import Parser, whole_number
from mt_fairseq.errors import cli_entry
from mt_fairseq.quiet import quiet_libraries

EPILOG = """\
The page offers what the checkpoint's heads can do: answer questions (vqa), check and rank captions
(itm), fill masks (mlm). Under each reply stand the managers' aggregation weights for the pair.

Only this machine reaches the page. --host 0.0.0.0 opens it to everyone on the network: there is no
password.

examples:
  python -m mt_fairseq.demo checkpoints/vqa --pictures data-bin/vqav2
  python -m mt_fairseq.demo checkpoints/pretraining --pictures ~/Pictures --port 8080
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mt_fairseq.demo",
        description="Try a trained model on pictures of your own, on a local web page.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        help="checkpoint file, folder of checkpoints, or exported folder",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="pictures to pick from: a folder of files, or a data-bin",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=7860,
        help="port (default: 7860; 0: any free one)",
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, ...")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    quiet_libraries()
    # after the options, so that --help is quick
    from mt_fairseq.demo.application import Application
    from mt_fairseq.demo.pictures import pictures_to_pick
    from mt_fairseq.demo.server import Server, is_loopback
    from mt_fairseq.models.hub import HubInterface
    from mt_fairseq.predict import move

    with Server(args.host, args.port) as server:
        to_pick = pictures_to_pick(args.pictures) if args.pictures else []
        hub = HubInterface.from_pretrained(args.checkpoint)
        move(hub, args.device)
        application = Application(hub, to_pick)
        if not is_loopback(args.host):
            print(f"warning: everyone who reaches {args.host} can use this page", file=sys.stderr)
        print(f"open {server.url} in a browser; Ctrl+C ends", flush=True)
        try:
            server.serve(application)
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
