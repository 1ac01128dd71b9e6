"""README.md of an exported folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_fairseq.convert.published import WIDTHS, published
from mt_fairseq.models.averaged import AVERAGED

if TYPE_CHECKING:
    from mt_fairseq.models.checkpoint import LoadedCheckpoint

CLASSES = {
    "managertower": "ManagerTower",
    "bridgetower": "BridgeTower",
    "meter": "Meter",
    "albef": "Albef",
}
PIPELINES = {"answer": "visual-question-answering"}
ASKED = {
    "answer": 'model.answer("photo.jpg", "How many dogs are there?")',
    "classify": 'model.classify("photo.jpg", "two dogs are running")',
    "classify_pair": 'model.classify_pair("left.jpg", "right.jpg", "There are two dogs.")',
}
"""How a model of a task is asked, by the method that the task names."""
USES = {
    "mlm": 'model.fill_mask("photo.jpg", "a <mask> on a mat")',
    "itm": 'model.match("photo.jpg", "a cat on a mat")',
}
TRANSFORMS = {
    "square": "resized to exactly that, bicubic",
    "center_crop": "shorter side resized to that, bicubic, then the centre cut out",
}

CARD = """\
---
library_name: mt_fairseq
pipeline_tag: {pipeline}
tags: [vision-language, {family}]
---
# {title}
| | |
| --- | --- |
| architecture | {architecture}, {parameters:.1f} M parameters |
| task | {task} |
| heads | {heads} |
| training data | {data} |
| resolution | {height} x {width} pixels (height x width), {transform} |
| longest text | {text} tokens, begin and end counted |
| classes | {classes} |
| weights | {weights} |
| score to expect | {score} |

```python
from mt_fairseq import {name}

model = {name}.from_pretrained("this folder")
{use}
```
"""


def model_card(
    checkpoint: LoadedCheckpoint, state: dict[str, Any], data: str | None, score: str | None
) -> str:
    """The card's text; arguments as of ``cli_export.export``."""
    task, model = checkpoint.task, checkpoint.model
    architecture = str(checkpoint.cfg.model._name)
    family = architecture.split("_")[0]
    height, width = task.resolution
    heads = list(model.heads)
    return CARD.format(
        pipeline=PIPELINES.get(task.asked, "feature-extraction"),
        family=family,
        title=f"{CLASSES.get(family, family)} ({task.name})",
        architecture=architecture,
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        task=task.name,
        heads=", ".join(heads) or "none",
        data=data or _data_name(state),
        height=height,
        width=width,
        transform=TRANSFORMS.get(task.eval_transform_kind, task.eval_transform_kind),
        text=task.text_limit,
        classes="none" if task.labels is None else f"{len(task.labels)}, in dict.label.txt",
        weights=_weights(state),
        score=score or _score(checkpoint, state),
        name=CLASSES.get(family, "ManagerTower"),
        use=_use(task, heads),
    )


def _use(task: Any, heads: list[str]) -> str:
    if task.asked in ASKED:
        return ASKED[task.asked]
    return next((use for head, use in USES.items() if head in heads), "model.model")


def _weights(state: dict[str, Any]) -> str:
    if not (state.get("extra_state") or {}).get(AVERAGED):
        return "as trained"
    return f"moving average, decay {state['cfg']['ema']['ema_decay']:g}"


def _data_name(state: dict[str, Any]) -> str:
    source = (state.get("extra_state") or {}).get("source")
    if source:
        return f"not recorded; converted from {source['file']}"
    return Path(str(state["cfg"]["task"].get("data") or "")).name or "not recorded"


def _score(checkpoint: LoadedCheckpoint, state: dict[str, Any]) -> str:
    """The best validation metric of the run, or the paper's score of an official checkpoint."""
    extra = state.get("extra_state") or {}
    best = extra.get("best")
    if best is not None:
        metric = state["cfg"]["checkpoint"]["best_checkpoint_metric"]
        return f"{metric} {best:.4g} on the validation split (best of its training run)"
    model = state["cfg"]["model"]
    official = (extra.get("source") or {}).get("kind") == "official"
    if official and model["hidden_size"] in WIDTHS.values():
        task = str(checkpoint.task.name)
        for split in ("test", "valid"):
            found = published(model["_name"], model["hidden_size"], task, split)
            if found:
                return f"{found.score:.2f} on {found.split} (the paper's, {found.model})"
    return "not measured"
