"""What the page asks for, without HTTP: pictures, replies, figures."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from typing import Any

from mt_fairseq.analysis.subjects import model_name
from mt_fairseq.analysis.weights import has_managers
from mt_fairseq.data.answers import shown_answer
from mt_fairseq.demo.figures import Drawing, draw_png, drawings
from mt_fairseq.demo.pictures import Picture, Pictures
from mt_fairseq.demo.skills import skills_of
from mt_fairseq.errors import UserError
from mt_fairseq.models.hub import HubInterface

MOST_BYTES = 25_000_000  # of an upload
MOST_REPLIES = 32  # whose figures can still be drawn


class Application:
    """A model and its page's state; may be called by several threads.

    Args:
        hub: the model.
        to_pick: pictures that the page offers.

    Raises:
        UserError: a checkpoint that can't be asked anything here.
    """

    def __init__(self, hub: HubInterface, to_pick: list[Picture]) -> None:
        self.hub = hub
        self.skills = skills_of(hub)
        self.pictures = Pictures(to_pick)
        self.managed = has_managers(hub.model)
        self._drawings: OrderedDict[str, dict[str, Drawing]] = OrderedDict()
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # one model, and matplotlib's settings are global

    def describe(self) -> dict[str, Any]:
        """What the page shows before anything is asked."""
        return {
            "model": model_name(self.hub.model),
            "managers": self.managed,
            "most_bytes": MOST_BYTES,
            "skills": [
                {
                    "name": name,
                    "title": skill.title,
                    "field": skill.field.replace("<mask>", self._mask),
                    "example": skill.example.replace("<mask>", self._mask),
                    "lines": skill.lines,
                    "column": skill.column,
                }
                for name, skill in self.skills.items()
            ],
            "pictures": [
                {"id": key, "name": picture.name, "text": picture.text}
                for key, picture in self.pictures.to_pick.items()
            ],
        }

    @property
    def _mask(self) -> str:
        return self.hub.mask_token

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Keep a picture; UserError for bytes that are none."""
        picture = Picture.read(name, data)
        with self._lock:
            return {"id": self.pictures.add(picture), "name": name}

    def ask(self, skill: str, picture_id: str, text: str) -> dict[str, Any]:
        """Rows of answers, and the addresses of the figures.

        Raises UserError for a skill that the model lacks, no picture, or a text that can't be.
        """
        if skill not in self.skills:
            raise UserError(f"this model can't be asked to {skill!r}")
        with self._lock:
            picture = self.pictures.get(picture_id)
            reply = self.skills[skill].run(self.hub, picture.data, text)
            figures = self._keep(drawings(self.hub, picture, reply)) if self.managed else []
        rows = [{"name": shown_answer(name), "probability": p} for name, p in reply.rows]
        return {"rows": rows, "figures": figures}

    def figure(self, key: str, name: str) -> bytes:
        """A figure as PNG; UserError if it is no longer kept."""
        with self._lock:
            drawing = self._drawings.get(key, {}).get(name)
            if drawing is None:
                raise UserError("this figure is no longer kept: ask again")
            return draw_png(drawing)

    def _keep(self, found: dict[str, Drawing]) -> list[str]:
        key = str(next(self._numbers))
        self._drawings[key] = found
        while len(self._drawings) > MOST_REPLIES:
            self._drawings.popitem(last=False)
        return [f"figures/{key}/{name}" for name in found]
