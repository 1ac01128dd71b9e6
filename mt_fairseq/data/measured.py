"""Numbers of a batch that losses and scores are made of keep their values in half precision.

fairseq's ``--fp16`` and ``--bf16`` cast every float32 tensor of a batch to the model's type: a
score of 0.6 would count as 0.6016. float64 it leaves alone. Images travel as uint8; every other
number with a fraction that a dataset puts into a batch goes through here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MEASURED = torch.float64


def measured(values: Sequence[float] | NDArray[np.floating]) -> Tensor:
    """(n,) or an array's shape, in the type that no cast reaches."""
    return torch.as_tensor(values, dtype=MEASURED)
