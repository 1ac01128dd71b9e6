"""Errors that a user can mend: one clear line, no traceback at a command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from mt_fairseq.interrupts import interrupts_kept

FAIRSEQ = "fairseq-fixed==0.12.3.1"
INSTALL_FAIRSEQ = (  # its build needs the first two
    "python -m pip install 'setuptools<81' wheel && "
    f"python -m pip install --no-build-isolation --no-deps {FAIRSEQ}"
)


class UserError(ValueError):
    """A mistake in input, options or files; its one line names the thing and the remedy."""


@contextmanager
def fairseq_needed() -> Iterator[None]:
    """Say how fairseq is installed where an import misses it: pip does not bring it by itself."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("fairseq", "fairseq_cli"):
            raise
        raise UserError(f"fairseq is not installed: {INSTALL_FAIRSEQ}") from error


def find_user_error(error: BaseException | None) -> UserError | None:
    """The first UserError on the chain of causes of ``error``, or None.

    fairseq wraps whatever goes wrong while it loads weights into a general exception, and a data
    loader re-raises its workers' errors; the chain keeps the one that names the remedy.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, UserError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def last_line(error: UserError) -> str:
    """The message without the worker traceback that a data loader puts before it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    line = lines[-1] if lines else type(error).__name__
    return line.split("UserError: ", 1)[-1].strip()


def install_excepthook() -> None:
    """Print a UserError that ends fairseq's own commands as one line instead of a traceback."""
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        found = find_user_error(error)
        if found is None:
            previous(kind, error, trace)
        else:
            print(f"error: {last_line(found)}", file=sys.stderr)

    sys.excepthook = hook


def cli_entry(main: Callable[[list[str] | None], int | None]) -> Callable[[], int]:
    """Turn ``main(argv)`` into a console entry: one line and exit code 2 for a UserError, 130 for
    Ctrl-C."""

    def run() -> int:
        try:
            with interrupts_kept(), fairseq_needed():
                return main(None) or 0
        except UserError as error:
            print(f"error: {last_line(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader of our output, `head` say, has gone
            sys.stderr.close()
            return 141

    return run
