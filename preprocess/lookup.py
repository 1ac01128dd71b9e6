"""Tables that records look into by number: pictures and boxes by id, splits by picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from preprocess.fields import FieldFault, Fields

T = TypeVar("T")


class Lookup(Generic[T]):
    """What the entries of a file say, by number.

    An entry that cannot be read is not there; records that need it are bad, and are told why.

    Args:
        file: what messages call the file.
        entries: its entries.
        read: number and value of an entry; a number that comes twice has its last value.
    """

    def __init__(
        self, file: str, entries: Iterable[Fields], read: Callable[[Fields], tuple[int, T]]
    ) -> None:
        self.file = file
        self.found: dict[int, T] = {}
        self.first_fault: FieldFault | None = None
        for entry in entries:
            try:
                number, value = read(entry)
            except FieldFault as fault:
                self.first_fault = self.first_fault or fault
            else:
                self.found[number] = value

    def __contains__(self, number: int) -> bool:
        return number in self.found

    def __getitem__(self, number: int) -> T:
        return self.found[number]

    @property
    def lacks_it(self) -> str:
        """What to say of a number that is not there."""
        hint = f" (which has an entry that cannot be read: {self.first_fault})"
        return f"is not in {self.file}{hint if self.first_fault else ''}"
