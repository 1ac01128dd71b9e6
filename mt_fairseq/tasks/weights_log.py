"""``--log-weights-interval``: the managers' weights as TensorBoard figures while training."""

import io
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.distributed import utils as distributed_utils
from fairseq.tasks import FairseqTask
from omegaconf import II
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.model import TwoTowerModel

RUN, TAG = "weights", "aggregation_weights"


@dataclass
class WeightsLogConfig(FairseqDataclass):
    log_weights_interval: int = field(
        default=0,
        metadata={
            "help": "every so many updates, draw the managers' average weights over a training "
            f"batch into --tensorboard-logdir, images of run {RUN!r} (0: never)"
        },
    )
    tensorboard_logdir: Optional[str] = II("common.tensorboard_logdir")


class WeightsLog:
    """Draws every ``interval`` updates, from update 0 on.

    It runs the batch once more in evaluation mode, which draws no random number: the training is
    the same with it as without.

    Args:
        folder: fairseq's TensorBoard folder.

    Raises:
        UserError: no folder to write to.
    """

    def __init__(self, interval: int, folder: str | None) -> None:
        if not folder:
            raise UserError(
                f"--log-weights-interval {interval}: name the folder to write to with "
                "--tensorboard-logdir"
            )
        self.interval = interval
        self.folder = folder
        self.last: int | None = None
        self.writer: SummaryWriter | None = None

    def is_due(self, update: int) -> bool:
        """Once an update, whatever the number of batches that it accumulates; one process only."""
        first = update != self.last and distributed_utils.get_global_rank() == 0
        return first and update % self.interval == 0

    def write(self, model: torch.nn.Module, net_input: dict[str, Any], update: int) -> None:
        """Draw the weights over one batch; UserError for a model without managers."""
        # for those who ask only: matplotlib takes its time
        from mt_fairseq.analysis.figures import picture_bytes
        from mt_fairseq.analysis.passes import run_pairs
        from mt_fairseq.analysis.subjects import count, model_name
        from mt_fairseq.analysis.weights import average_weights, draw_weights

        self.last = update
        tower = unwrap(model)
        tokens, images = net_input["src_tokens"], net_input["images"]
        modes = [module.training for module in tower.modules()]
        tower.eval()
        # in pre-training, images beyond the texts' own come last
        found = average_weights(tower, run_pairs(tower, tokens, images[: len(tokens)]))
        for module, training in zip(tower.modules(), modes, strict=True):
            module.training = training
        name = model_name(tower)
        caption = (
            f"Aggregation weights: {name}; update {update}, one training batch, "
            f"{count(len(tokens), 'sample')}"
        )
        picture = picture_bytes(draw_weights({name: found}, caption), "png")
        pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
        if self.writer is None:
            self.writer = SummaryWriter(f"{self.folder}/{RUN}")
        self.writer.add_image(TAG, pixels, update, dataformats="HWC")
        self.writer.flush()


def unwrap(model: Any) -> TwoTowerModel:
    """The model inside fairseq's wrappers for several processes."""
    while hasattr(model, "module"):
        model = model.module
    return model


class WeightsLoggingTask(FairseqTask):
    """A task that logs weights if its configuration, a WeightsLogConfig, says so."""

    def __init__(self, cfg: Any, **kwargs: Any) -> None:
        super().__init__(cfg, **kwargs)
        self.weights_log: WeightsLog | None = None
        if cfg.log_weights_interval:
            self.weights_log = WeightsLog(cfg.log_weights_interval, cfg.tensorboard_logdir)

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int,
        ignore_grad: bool = False,
    ) -> Any:  # fmt: skip
        """As fairseq's; the figure shows the weights before the update."""
        if self.weights_log is not None and self.weights_log.is_due(update_num):
            self.weights_log.write(model, sample["net_input"], update_num)
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
