"""``python -m mt_fairseq.evaluate compare A B``: which of two runs is better, and is it noise?"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mt_fairseq.command_line import Parser, existing_path, natural_int, positive_int, whole_number
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.paired import RESAMPLES, Difference, compare_credits
from mt_fairseq.evaluation.runs import RunPair, pair_runs, read_run

if TYPE_CHECKING:
    from mt_fairseq.data.images import ImageStore

CREDITS = {
    "vqa_accuracy": "VQA accuracy",
    "accuracy": "right or wrong",
    "recall": "a right item ranked first: R@1, both directions",
}
"""What a sample's credit is, by scorer."""

EPILOG = """\
A and B are folders that `python -m mt_fairseq.evaluate` wrote (--out), of the same split.

The 95 % bounds are a paired bootstrap over pictures: samples about one picture stand or fall
together. The p-value is the exact sign test's on the samples whose credit differs (McNemar's for
right and wrong answers). Both say how far these samples decide between these two checkpoints;
neither says what another seed of training would give.

examples:
  python -m mt_fairseq.evaluate compare results/bridgetower results/managertower
  python -m mt_fairseq.evaluate compare results/a results/b \\
      --page flipped.html --data data-bin/vqav2
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mt_fairseq.evaluate compare",
        description="Compare two evaluations sample by sample.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", type=existing_path, help="results of the run to compare with")
    parser.add_argument("b", type=existing_path, help="results of the run that may be better")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write what flipped as HTML")
    parser.add_argument("--data", metavar="DATA-BIN", help="its pictures go into the page")
    parser.add_argument(
        "--limit", type=positive_int, default=200, help="samples on the page at most (default: 200)"
    )
    parser.add_argument("--seed", type=natural_int, default=1, help="of the bootstrap (default: 1)")
    parser.add_argument(
        "--resamples",
        type=whole_number(100),
        default=RESAMPLES,
        help=f"of it (default: {RESAMPLES})",
    )
    return parser


def main(argv: list[str]) -> int:
    """Run the command; UserError for results that cannot be compared."""
    args = build_parser().parse_args(argv)
    images = _open_page(args)
    pair = pair_runs(read_run(args.a), read_run(args.b))
    print(report(pair, args.resamples, args.seed))
    if args.page:
        from mt_fairseq.evaluation.flip_page import write_flips

        shown, flipped = write_flips(pair, args.page, args.limit, images)
        print(f"\nwritten to {args.page}: {shown} of {flipped} samples that flipped")
    return 0


def _open_page(args: argparse.Namespace) -> ImageStore | None:
    """The pictures for the page, if any; mistakes in its options come before the work."""
    if not args.page:
        if args.data:
            raise UserError("--data: its pictures go into a page; add --page FILE")
        return None
    if not args.page.absolute().parent.is_dir():
        raise UserError(f"--page {args.page}: there is no folder {args.page.parent}")
    if not args.data:
        return None
    from mt_fairseq.data.data_bin import DataBin

    return DataBin(args.data).images


def report(pair: RunPair, resamples: int = RESAMPLES, seed: int = 1) -> str:
    """The comparison in words, and a table for each way in which samples are grouped."""
    a, b = pair.credits
    pictures = pair.pictures
    whole = compare_credits(a, b, pictures, resamples, seed)
    meaning = CREDITS.get(str(pair.a.score.get("scoring")), "of each sample")
    lines = [
        f"mean credit in percent ({meaning})",
        f"A  {_score(whole.a)}  {pair.a.folder}  ({pair.a.score.get('checkpoint')})",
        f"B  {_score(whole.b)}  {pair.b.folder}  ({pair.b.score.get('checkpoint')})",
        "",
        f"B - A  {whole.gain:+.2f} points{_bounds(whole)}: {verdict(whole)}",
        f"{whole.samples:,} samples of split {pair.a.score.get('split')} on "
        f"{len(set(pictures)):,} pictures; {resamples} resamples, seed {seed}",
        f"flipped: {whole.better:,} better in B, {whole.worse:,} worse (sign test: p = "
        f"{whole.p_value:.3g}); {_other_predictions(pair):,} predictions differ",
    ]
    for name, groups in pair.groupings().items():
        lines += ["", _group_table(pair, name, groups, resamples, seed)]
    return "\n".join(lines)


def verdict(difference: Difference) -> str:
    """What the bounds say, in words."""
    if difference.low is None or difference.high is None:
        return "one picture decides nothing"
    if difference.low <= 0 <= difference.high:
        return "the samples do not decide"
    return "B is better" if difference.gain > 0 else "A is better"


def _group_table(pair: RunPair, name: str, groups: list[str], resamples: int, seed: int) -> str:
    from mt_fairseq.analysis.markdown import table

    a, b = pair.credits
    pictures = pair.pictures
    lines = []
    for group, count in Counter(filter(None, groups)).most_common():
        own = [row for row, its in enumerate(groups) if its == group]
        about = [pictures[row] for row in own]
        part = compare_credits(a[own], b[own], about, resamples, seed)
        bounds = "-" if part.low is None else f"{part.low:+.2f} to {part.high:+.2f}"
        lines.append([
            group, f"{count:,}", _score(part.a), _score(part.b), f"{part.gain:+.2f}", bounds,
            f"{part.better}/{part.worse}",
        ])  # fmt: skip
    head = [name, "samples", "A", "B", "B - A", "95 %", "better/worse"]
    note = "Of many groups, one in twenty lies outside such bounds by chance alone."
    return table(head, lines) + (f"\n{note}" if len(lines) >= 20 else "")


def _score(percent: float) -> str:
    return f"{percent:.2f}"


def _bounds(difference: Difference) -> str:
    if difference.low is None:
        return ""
    return f" (95 %: {difference.low:+.2f} to {difference.high:+.2f})"


def _other_predictions(pair: RunPair) -> int:
    return sum(
        one["prediction"] != other["prediction"]
        for one, other in zip(pair.first, pair.second, strict=True)
    )
