"""Parts of one kind by name, open to a user's own: a name that is taken or unknown is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from mt_fairseq.errors import UserError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and what they stand for, in the order in which they were registered.

    Lists are read when they are asked for, so that parts of a user's own ``--user-dir`` count.

    Args:
        kind: what one entry is, for errors: "manager".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: make a class or function known as ``name``; UserError if that is taken."""

        def register(entry: T) -> T:
            if name in self.entries:
                raise UserError(
                    f"there is a {self.kind} {name!r} already; take another name "
                    f"(registered: {', '.join(self)})"
                )
            self.entries[name] = entry
            return entry

        return register

    def __getitem__(self, name: str) -> T:
        """What ``name`` stands for; UserError that lists all if there is no such."""
        if name not in self.entries:
            raise UserError(
                f"unknown {self.kind} {name!r}: take one of {', '.join(self)}, or register it in "
                "your --user-dir"
            )
        return self.entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)
