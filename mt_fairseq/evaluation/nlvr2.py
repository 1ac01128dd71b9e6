"""NLVR2's consistency and the file that its official evaluation script takes.

Source: Suhr et al., A Corpus for Reasoning About Natural Language Grounded in Photographs, 2019,
section 5; identifiers and comparison as in the script that comes with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mt_fairseq.errors import UserError

PARTS = 4
PAIR = 2  # place of the pair's number in an identifier


def sentence_of(identifier: str) -> tuple[str, ...]:
    """What all pairs of a sentence share: split, set and sentence of ``split-set-pair-sentence``.

    Raises UserError if the identifier is none of NLVR2's.
    """
    parts = identifier.split("-")
    if len(parts) != PARTS:
        raise UserError(
            f"{identifier!r} is no identifier of NLVR2 (split-set-pair-sentence, dev-850-0-0)"
        )
    return (*parts[:PAIR], *parts[PAIR + 1 :])


def nlvr2_consistency(predictions: Mapping[str, tuple[object, object]]) -> float:
    """Share of the sentences all of whose pairs are answered right, in percent.

    Args:
        predictions: identifier -> (predicted, label); True, "True" and "true" are the same.

    Raises UserError without predictions, or for an identifier that is none of NLVR2's.
    """
    if not predictions:
        raise UserError("there are no predictions to score")
    consistent: dict[tuple[str, ...], bool] = {}
    for identifier, (predicted, label) in predictions.items():
        sentence = sentence_of(identifier)
        right = str(predicted).lower() == str(label).lower()
        consistent[sentence] = consistent.get(sentence, True) and right
    return 100.0 * sum(consistent.values()) / len(consistent)


def nlvr2_submission(predictions: Iterable[tuple[str, str]]) -> str:
    """``identifier,prediction`` a line, without a head, as the official script reads it."""
    return "".join(f"{identifier},{predicted}\n" for identifier, predicted in predictions)
