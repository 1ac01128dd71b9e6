"""What needs no image: the majority answer, and answers from the text's words alone.

    python -m examples.demo.baselines --raw RAW/vqav2

reads official VQA v2 files, learns from train2014 and scores val2014 with the VQA accuracy over
the ten answers.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from examples.demo.raw import read_vqa_split
from examples.demo.samples import Samples
from mt_fairseq.command_line import Parser
from mt_fairseq.errors import cli_entry

MAX_CLASSES = 300  # of the linear model; a real corpus has thousands, mostly rare
MAX_QUESTIONS = 40_000  # that it learns from, so that a real corpus takes a minute
REPEATS = 2_000  # of the bootstrap


def predict_majority(train: Samples, test: Samples) -> list[str]:
    """The most frequent answer of training, whatever is asked."""
    answer = Counter(train.answers).most_common(1)[0][0]
    return [answer] * len(test.texts)


def predict_by_string(train: Samples, test: Samples) -> list[str]:
    """The most frequent answer to the very question, else to its first words, else overall."""
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for text, answer in zip(train.texts, train.answers, strict=True):
        for prefix in _prefixes(text):
            counts[prefix][answer] += 1

    def best(text: str) -> str:
        known = next(prefix for prefix in _prefixes(text) if prefix in counts)
        return counts[known].most_common(1)[0][0]

    return [best(text) for text in test.texts]


def _prefixes(text: str) -> list[tuple[str, ...]]:
    """All the words, then all but the last, and so on to none."""
    words = text.lower().rstrip("?").split()
    return [tuple(words[:n]) for n in range(len(words), -1, -1)]


def predict_by_words(train: Samples, test: Samples) -> list[str]:
    """Logistic regression on the question's words and word pairs."""
    answers = train.answers
    kept = {answer for answer, _ in Counter(answers).most_common(MAX_CLASSES)}
    rows = [i for i, answer in enumerate(answers) if answer in kept]
    if len(rows) > MAX_QUESTIONS:
        rows = list(np.random.default_rng(0).permutation(rows)[:MAX_QUESTIONS])
    classes = [answers[i] for i in rows]
    if len(set(classes)) < 2:
        return predict_majority(train, test)
    words = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"\w+", min_df=2)
    features = words.fit_transform([train.texts[i] for i in rows])
    model = LogisticRegression(C=1.0, max_iter=200)
    model.fit(features, classes)
    return [str(answer) for answer in model.predict(words.transform(test.texts))]


def text_only(train: Samples, test: Samples) -> tuple[str, NDArray[np.float64]]:
    """The stronger of the text-only models, by name, with the credit of each sample."""
    candidates = {
        "whole string": test.credits(predict_by_string(train, test)),
        "words": test.credits(predict_by_words(train, test)),
    }
    name = max(candidates, key=lambda n: candidates[n].mean())
    return name, candidates[name]


def interval(values: NDArray[np.float64], groups: Sequence[Hashable]) -> tuple[float, float, float]:
    """Mean and 95 % bounds in percent, resampling groups as a whole.

    Samples of one group stand or fall together, so bounds from single questions would be too
    narrow. Bounds are percentiles of REPEATS bootstrap means, the same in every run.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(member, weights=values)
    sizes = np.bincount(member).astype(np.float64)
    draws = np.random.default_rng(0).multinomial(
        len(sums), np.full(len(sums), 1 / len(sums)), size=REPEATS
    )
    means = (draws @ sums) / (draws @ sizes)
    low, high = np.percentile(means, (2.5, 97.5))
    return 100 * float(values.mean()), 100 * float(low), 100 * float(high)


def main(argv: list[str] | None = None) -> int:
    parser = Parser(prog="python -m examples.demo.baselines")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the VQA v2 JSON files")
    args = parser.parse_args(argv)
    train, test = (read_vqa_split(args.raw, part) for part in ("train2014", "val2014"))
    name, credits = text_only(train, test)
    rows = {"majority answer": test.credits(predict_majority(train, test)), name: credits}
    for row, values in rows.items():
        mean, low, high = interval(values, test.image_ids)
        print(f"{row:20s} {mean:5.1f} %  (95 %: {low:.1f} to {high:.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
