"""Ranking a closed list of answers by their likelihood (ALBEF, section 5, "VQA")."""

from __future__ import annotations

import torch
from torch import Tensor

from mt_fairseq.modules.albef.decoder import AnswerDecoder

ANSWERS_A_PASS = 512  # bounds the memory of logits over the whole vocabulary


@torch.no_grad()
def rank_answers(
    decoder: AnswerDecoder,
    question: Tensor,
    question_mask: Tensor,
    candidates: Tensor,
    k: int,
    first_token_twice: bool = False,
) -> tuple[Tensor, Tensor]:
    """The ``k`` answers with the most likely first tokens, best whole answer first.

    Args:
        decoder: the answer decoder.
        question: (B, T, D) states of the questions, question_mask: (B, T).
        candidates: (C, L) <s> answer </s>, padded.
        k: candidates of which the whole likelihood is computed; at most C.
        first_token_twice: add the first token's log probability once more, as the reference does.

    Returns:
        (B, k) numbers of candidates and (B, k) their log probabilities among these k.
    """
    start = candidates[:1, :1].expand(len(question), 1)
    first = decoder(start, question, question_mask)[:, 0].float().log_softmax(dim=-1)
    first_scores, chosen = first[:, candidates[:, 1]].topk(min(k, len(candidates)), dim=1)
    rows = torch.arange(len(question), device=question.device).repeat_interleave(chosen.shape[1])
    scores = torch.cat(
        [
            answer_likelihood(decoder, question[part], question_mask[part], candidates[answers])
            for part, answers in zip(
                rows.split(ANSWERS_A_PASS), chosen.flatten().split(ANSWERS_A_PASS), strict=True
            )
        ]
    ).view_as(first_scores)
    if first_token_twice:
        scores = scores + first_scores
    scores, order = scores.log_softmax(dim=1).sort(dim=1, descending=True, stable=True)
    return chosen.gather(1, order), scores


def answer_likelihood(
    decoder: AnswerDecoder, question: Tensor, question_mask: Tensor, answers: Tensor
) -> Tensor:
    """(A,) log-likelihoods of answers (A, L), <s> given, </s> included, padding not."""
    targets = answers[:, 1:]
    log_probabilities = decoder(answers, question, question_mask)[:, :-1].float().log_softmax(-1)
    chosen = log_probabilities.gather(2, targets[:, :, None])[:, :, 0]
    return chosen.masked_fill(targets.eq(decoder.pad), 0).sum(dim=1)
