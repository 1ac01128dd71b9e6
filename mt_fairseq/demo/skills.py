"""What a checkpoint can be asked on the page; a new skill is one function here, and its entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mt_fairseq.errors import UserError
from mt_fairseq.models.hub import HubInterface

TOPK = 5
MOST_CAPTIONS = 50
Rows = list[tuple[str, float]]


@dataclass(frozen=True)
class Reply:
    """What the page shows.

    Attributes:
        rows: answers with their probabilities, best first.
        text: the text whose managers' weights belong to the reply.
        masked: whether a mask written in ``text`` is the mask token.
    """

    rows: Rows
    text: str
    masked: bool = False


@dataclass(frozen=True)
class Skill:
    """One thing to ask.

    Attributes:
        asked: the method by which the checkpoint's task is asked; "" where ``head`` decides.
        head: the head that it needs, where the task doesn't decide.
        title: on its tab.
        field: what the text is, above its box.
        example: shown in the empty box.
        lines: whether several lines are wanted.
        column: what the answers are called.
        run: (model, the picture's bytes, text) -> reply.
    """

    title: str
    field: str
    example: str
    lines: bool
    column: str
    run: Callable[[HubInterface, bytes, str], Reply]
    asked: str = ""
    head: str = ""

    def fits(self, hub: HubInterface) -> bool:
        """Whether a checkpoint can be asked so."""
        return hub.task.asked == self.asked if self.asked else self.head in hub.heads


def _answer(hub: HubInterface, picture: bytes, text: str) -> Reply:
    return Reply(hub.answer(picture, text, topk=TOPK), text)


def _classify(hub: HubInterface, picture: bytes, text: str) -> Reply:
    return Reply(hub.classify(picture, text, topk=TOPK), text)


def _match(hub: HubInterface, picture: bytes, text: str) -> Reply:
    probability = hub.match(picture, text)
    return Reply([("match", probability), ("no match", 1 - probability)], text)


def _rank(hub: HubInterface, picture: bytes, text: str) -> Reply:
    captions = [line.strip() for line in text.splitlines() if line.strip()]
    if not 2 <= len(captions) <= MOST_CAPTIONS:
        raise UserError(f"write 2 to {MOST_CAPTIONS} captions, one a line")
    scores = hub.match(picture, captions)
    rows = sorted(zip(captions, scores, strict=True), key=lambda row: -row[1])
    return Reply(rows, rows[0][0])


def _fill_mask(hub: HubInterface, picture: bytes, text: str) -> Reply:
    return Reply(hub.fill_mask(picture, text, topk=TOPK), text, masked=True)


SKILLS = {
    "answer": Skill(
        asked="answer",
        title="Ask a question",
        field="Question",
        example="What colour is the cat?",
        lines=False,
        column="answer",
        run=_answer,
    ),
    "classify": Skill(
        asked="classify",
        title="Judge a statement",
        field="Statement",
        example="two dogs are running",
        lines=False,
        column="class",
        run=_classify,
    ),
    "match": Skill(
        head="itm",
        title="Check a caption",
        field="Caption",
        example="a cat on a mat",
        lines=False,
        column="verdict",
        run=_match,
    ),
    "rank": Skill(
        head="itm",
        title="Rank captions",
        field="Captions, one a line",
        example="a cat on a mat\na dog in the snow",
        lines=True,
        column="caption",
        run=_rank,
    ),
    "fill_mask": Skill(
        head="mlm",
        title="Fill a mask",
        field="Caption with one <mask>",
        example="a <mask> on a mat",
        lines=False,
        column="token",
        run=_fill_mask,
    ),
}


def skills_of(hub: HubInterface) -> dict[str, Skill]:
    """The skills that the checkpoint's heads allow.

    Raises UserError if there are none.
    """
    found = {name: skill for name, skill in SKILLS.items() if skill.fits(hub)}
    if not found:
        raise UserError(
            f"this checkpoint's heads ({', '.join(hub.heads) or 'none'}) can't be asked on the "
            "page; it takes answers to questions, classes of a text with one image, itm and mlm"
        )
    return found
