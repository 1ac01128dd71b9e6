"""Processes that work side by side, and the one thing that they agree on: whose turn it is."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from mt_fairseq.data.files import full_disk_is_clear
from mt_fairseq.errors import UserError

T = TypeVar("T")


class Turns:
    """Where the bytes of each part begin in their pack: known when those before it are prepared.

    Workers prepare parts side by side and then ask one after the other, in the order of the parts.
    """

    def __init__(self) -> None:
        self.condition = multiprocessing.Condition()
        self.next = multiprocessing.RawValue("q", 0)
        self.end = multiprocessing.RawValue("q", 0)

    def place(self, turn: int, first: bool, length: int) -> int:
        """Wait until it is the part's turn; gives its first byte, counted from its pack's."""
        with self.condition:
            self.condition.wait_for(lambda: self.next.value == turn)
            begin: int = 0 if first else self.end.value
            self.end.value = begin + length
            self.next.value += 1
            self.condition.notify_all()
        return begin


_turns: Turns | None = None


def turns() -> Turns:
    """Those of the run that this process works for."""
    assert _turns is not None
    return _turns


def _work_for(turns: Turns) -> None:
    global _turns
    _turns = turns


def _begin(turns: Turns) -> None:
    """Ctrl-C is for the parent, which ends its workers; theirs would only print tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work_for(turns)


class Workers:
    """``count`` processes; with one, this process itself works as soon as it is asked."""

    def __init__(self, count: int) -> None:
        with full_disk_is_clear(Path(tempfile.gettempdir())):  # there it has its shared memory
            turns = Turns()
        self.pool = None
        if count > 1:
            self.pool = ProcessPoolExecutor(count, initializer=_begin, initargs=(turns,))
        else:
            _work_for(turns)

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Have ``work(*args)`` done; those asked for first begin first."""
        if self.pool is not None:
            try:
                return self.pool.submit(work, *args)
            except BrokenProcessPool as error:
                raise _killed() from error
        future: Future[T] = Future()
        future.set_result(work(*args))
        return future

    def close(self) -> None:
        """Stop the processes, after what they have begun."""
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)


def result_of(future: Future[T]) -> T:
    """Wait for a result."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise _killed() from error


def _killed() -> UserError:
    return UserError(
        "a worker process was killed, most often for want of memory; run the same "
        "command again with --resume and fewer --workers"
    )
