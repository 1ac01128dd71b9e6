"""Ctrl-C that is not lost.

Python drops what is raised in a destructor or in a weak reference's callback, and only tells
``sys.unraisablehook``. HDF5's objects run many of these: while packs were written, two of forty
interrupts did nothing.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PAUSE = 0.05
"""Seconds until a lost interrupt comes again, when the callback has returned."""


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """While this lasts, a KeyboardInterrupt that Python has dropped is raised once more."""
    previous = sys.unraisablehook

    def hook(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            _interrupt_again()
        else:
            previous(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = previous


def _interrupt_again() -> None:
    main = threading.main_thread().ident
    assert main is not None
    # to that very thread, so that it wakes if it waits for a worker
    timer = threading.Timer(PAUSE, signal.pthread_kill, (main, signal.SIGINT))
    timer.daemon = True
    timer.start()
