"""One line of the doctor's report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass
class Finding:
    """A state (ok, warn, FAIL) and one line that says what and, if need be, the remedy."""

    state: str
    text: str

    def __str__(self) -> str:
        return f"{self.state:4}  {' '.join(self.text.split())}"


Check = Callable[[], Iterable[Finding]]


def run_checks(checks: Iterable[Check]) -> Iterator[Finding]:
    """All findings; a check that breaks is a finding too, so that the others still run."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            name = check.__name__.strip("_").replace("_", " ")
            yield Finding(FAIL, f"{name}: {type(error).__name__}: {reason}")
