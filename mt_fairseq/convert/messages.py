"""Lines that the conversions print."""

from __future__ import annotations

from mt_fairseq.convert.task_parts import TASKS


def about_task(task: str) -> str:
    """The task of a written checkpoint, and what it cannot do where this version lacks the task."""
    from fairseq.tasks import TASK_REGISTRY

    name = TASKS[task]
    if name in TASK_REGISTRY:
        return f"task {name}"
    return (
        f"task {name}, which this version does not have: the checkpoint serves "
        "fairseq-train --finetune-from-model, but not from_pretrained"
    )
