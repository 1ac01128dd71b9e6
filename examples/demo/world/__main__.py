"""``python -m examples.demo.world --out RAW``: write the world (about 20 seconds)."""

from __future__ import annotations

import sys

from tqdm import tqdm

from examples.demo.world.write import DATASETS, WorldConfig, write_world
from mt_fairseq.command_line import Parser, folder_to_write, natural_int, positive_int
from mt_fairseq.errors import cli_entry


class Bars:
    """A progress bar a dataset, on stderr."""

    def __init__(self) -> None:
        self.name = ""
        self.bar: tqdm | None = None

    def __call__(self, name: str, done: int, total: int) -> None:
        if self.bar is None or name != self.name:
            self.close()
            self.name, self.bar = name, tqdm(total=total, desc=name, unit=" pictures")
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def main(argv: list[str] | None = None) -> int:
    default = WorldConfig()
    parser = Parser(
        prog="python -m examples.demo.world",
        description="Write a small world of pictures in the raw layouts of real datasets.",
    )
    parser.add_argument("--out", type=folder_to_write, required=True, help="folder to make")
    parser.add_argument("--seed", type=natural_int, default=default.seed)
    parser.add_argument(
        "--train", type=positive_int, default=default.train, help="pictures of train2014"
    )
    parser.add_argument(
        "--held-out",
        type=positive_int,
        default=default.held_out,
        help="pictures of val2014, of test2015",
    )
    parser.add_argument(
        "--questions", type=positive_int, default=default.questions, help="questions a picture"
    )
    parser.add_argument(
        "--datasets", nargs="+", default=list(DATASETS), help="which, of: " + ", ".join(DATASETS)
    )
    args = parser.parse_args(argv)
    config = WorldConfig(args.seed, args.train, args.held_out, args.questions, tuple(args.datasets))
    bars = Bars()
    try:
        fresh = write_world(args.out, config, bars)
    finally:
        bars.close()
    print(f"{args.out}: {'written' if fresh else 'the same world is there already'}")
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
