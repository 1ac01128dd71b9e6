"""Tasks whose losses compare the samples of all processes."""

from typing import Any

from fairseq import utils

from mt_fairseq.tasks.vision_language import VisionLanguageTask


class GatheringTask(VisionLanguageTask):
    """Every process must take part in every step, also one that has no data left.

    In training and its validations fairseq gives such a process another batch, marked by
    ``compat.mark_dummy_batches``; in fairseq-validate it gives none, so that one is found here.
    """

    def valid_step(
        self, sample: Any, model: Any, criterion: Any, **kwargs: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        if sample:
            return super().valid_step(sample, model, criterion, **kwargs)
        dataset = list(self.datasets.values())[-1]  # fairseq-validate loads one split at a time
        device = next(model.parameters()).device
        stand_in = utils.apply_to_sample(
            lambda tensor: tensor.to(device), dataset.collater([dataset[0]])
        )
        stand_in["is_dummy"] = True
        loss, _, log = super().valid_step(stand_in, model, criterion, **kwargs)
        return 0 * loss, 0, {name: 0 * value for name, value in log.items()}
