"""Keep libraries' chatter out of our own commands; warnings and errors still show."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """To be called before fairseq is imported, which else logs at the most talkative level.

    fairseq also uses Hydra in ways that Hydra has since given up, which warn at every start.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    warnings.filterwarnings("ignore", message=r"\s*'config' is validated against ConfigStore")
