"""fairseq-train that prints what each update of this process saw: ``ids [3, 1]``.

``python -m tests.tasks.record_ids ARGUMENTS``
"""

from __future__ import annotations

from typing import Any

from fairseq_cli.train import Trainer, cli_main  # first of all, since it sets up logging


def record() -> None:
    """Print the samples of every update before it is made."""
    original = Trainer.train_step

    def train_step(self: Trainer, samples: list[Any], *args: Any, **kwargs: Any) -> Any:
        print("ids", [i for batch in samples if batch for i in batch["id"].tolist()], flush=True)
        return original(self, samples, *args, **kwargs)

    Trainer.train_step = train_step


if __name__ == "__main__":
    record()
    cli_main()
