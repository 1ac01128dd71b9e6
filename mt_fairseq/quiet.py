"""Keep libraries' chatter out of our own commands; warnings and errors still show."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """To be called before fairseq is imported, which else logs at the most talkative level.

    fairseq also calls Hydra by names that Hydra has since moved, and warns at every start.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
