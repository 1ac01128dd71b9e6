"""Take fields of a JSON object, or of a table's row, in one checked way.

A reader takes what it needs from :class:`Fields`; whatever is missing, of another type or out of
range raises :class:`FieldFault`, which :func:`faults_as_records` turns into a bad record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

from mt_fairseq.data.text_check import text_fault
from preprocess.column_kinds import INT64, value_fault
from preprocess.records import BadRecord
from preprocess.shown import names_shown, one_line, shown

T = TypeVar("T")


class FieldFault(Exception):
    """What is wrong with one entry of a file: where it stands, and why it cannot be used."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(one_line(f"{where}: {reason}"))
        self.where, self.reason = where, reason

    def as_record(self) -> BadRecord:
        """The entry as a bad record, which ``--on-error`` decides about."""
        return BadRecord(self.where, self.reason)


def faults_as_records(records: Iterable[T]) -> Iterator[T | BadRecord]:
    """The records of one entry; a fault in their making ends them with a bad record."""
    try:
        yield from records
    except FieldFault as fault:
        yield fault.as_record()


class Fields:
    """One entry of a file.

    Args:
        content: its value; anything but a dict has no fields.
        where: what messages call it ("questions.json: line 3"), or the list that it is in.
        broken: why nothing can be taken, where there is no value (a line that is not JSON).
        index: its place in the list.
    """

    __slots__ = ("_index", "_where", "broken", "content")

    def __init__(
        self, content: Any, where: str, broken: str | None = None, index: int | None = None
    ) -> None:
        self.content = content
        self.broken = broken
        self._where, self._index = where, index

    @property
    def where(self) -> str:
        """What messages call this entry; put together when it is needed, which is rare."""
        return self._where if self._index is None else f"{self._where}[{self._index}]"

    def fault(self, reason: str) -> FieldFault:
        """The error for something wrong with this entry."""
        return FieldFault(self.where, reason)

    def _object(self) -> dict[Any, Any]:
        if self.broken is not None:
            raise self.fault(self.broken)
        if not isinstance(self.content, dict):
            raise self.fault(f"is not a JSON object: {shown(self.content)}")
        return self.content

    def __contains__(self, name: str) -> bool:
        """Whether there is a field of this name."""
        return name in self._object()

    @property
    def names(self) -> str:
        """Which fields there are, for messages."""
        return names_shown(self._object())

    def given(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self._object().get(name) is not None

    def value(self, name: str) -> Any:
        """A field of any kind."""
        content = self.content
        if self.broken is None and isinstance(content, dict) and name in content:
            return content[name]
        raise self.fault(f'lacks "{name}" (it has {self.names})')

    def only(self, names: Collection[str]) -> None:
        """There must be no other fields."""
        unknown = [name for name in self._object() if name not in names]
        if unknown:
            known = ", ".join(sorted(names))
            raise self.fault(f"has unknown fields {names_shown(unknown)}; known are {known}")

    def text(self, name: str) -> str:
        """Text, perhaps empty."""
        value = self.value(name)
        reason = text_fault(value)
        if reason is None:
            return value
        raise self.fault(f'"{name}" {reason}: {shown(value)}')

    def one_of(self, name: str, names: Collection[str]) -> str:
        """One of some texts."""
        value = self.value(name)
        if not isinstance(value, str) or value not in names:
            raise self.fault(f"unknown {name} {shown(value)}; it is one of {', '.join(names)}")
        return value

    def whole(self, name: str, least: int = -INT64) -> int:
        """A whole number of 64 bits, and at least ``least``."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fault(f'"{name}" is not a whole number: {shown(value)}')
        if least <= value < INT64:
            return value
        raise self.fault(f'"{name}" {value_fault(value) or f"is below {least}: {value}"}')

    def identity(self, name: str) -> int | str:
        """What names something: a whole number or text."""
        value = self.value(name)
        if isinstance(value, str):
            return self.text(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return self.whole(name)
        raise self.fault(f'"{name}" is neither a whole number nor text: {shown(value)}')

    def entries(self, name: str) -> list[Any]:
        """A list, perhaps empty."""
        value = self.value(name)
        if not isinstance(value, list):
            raise self.fault(f'"{name}" is not a list: {shown(value)}')
        return value

    def texts(self, name: str) -> list[str]:
        """A list of at least one text."""
        values = self.entries(name)
        reason = next(filter(None, map(text_fault, values)), None) if values else "it is empty"
        if reason:
            raise self.fault(f'"{name}" must be a list of texts ({reason}): {shown(values)}')
        return values

    def parts(self, name: str) -> Iterator[Fields]:
        """The entries of a list as further fields."""
        return fields_of(self.entries(name), f"{self.where}.{name}")


def fields_of(values: Iterable[Any], where: str) -> Iterator[Fields]:
    """Fields of every entry of a list that messages call ``where``."""
    return (Fields(value, where, index=i) for i, value in enumerate(values))
