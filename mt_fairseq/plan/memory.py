"""Memory of a training step on one device, from counted parameters and activations."""

from __future__ import annotations

from dataclasses import dataclass

GB = 1e9
OVERHEAD = 1.0 * GB  # CUDA context and libraries
FRAGMENTS = 0.05  # of the device: gaps between tensors that the allocator cannot use
MOMENTARY = 1.2  # kept activations times this: with what lives for a moment only
ACTIVATION_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
PARAMETER_BYTES = {"bfloat16": 20, "float16": 20, "float32": 16}
"""Bytes a parameter: float32 weight, gradient and two moments of AdamW, 16; with half precision
also fairseq's half-precision weight and gradient, 4."""
BUFFER = 2**28
"""Gradients that fairseq's legacy_ddp sums at a time."""


@dataclass(frozen=True)
class Memory:
    """Bytes on each of several devices.

    Attributes:
        parameters: weights, gradients and the optimizer's moments.
        buffer: gradients on their way between processes.
        sample: activations of one sample, what lives for a moment included.
        gathered: of one sample of each process, where all collect the encoded pictures of all.
        momentum: a momentum model and its queues.
    """

    parameters: float
    buffer: float
    sample: float
    gathered: float = 0.0
    momentum: float = 0.0

    @property
    def fixed(self) -> float:
        """Whatever the batch."""
        return self.parameters + self.buffer + self.momentum + OVERHEAD

    def of_batch(self, micro: int) -> float:
        """All of it with ``micro`` samples a process."""
        return self.fixed + micro * (self.sample + self.gathered)

    def largest_batch(self, available: float) -> int:
        """Samples that fit into ``available`` bytes; 0 if none does."""
        room = available * (1 - FRAGMENTS) - self.fixed
        return max(0, int(room / (self.sample + self.gathered)))


def estimate(
    parameters: int,
    activations: float,
    precision: str,
    gpus: int,
    picture_elements: int = 0,
    momentum: float = 0.0,
) -> Memory:
    """Memory of a model with so many parameters.

    Args:
        parameters: their number.
        activations: bytes a sample: what autograd keeps for the backward pass, and what the largest
            layer that runs again keeps while it does.
        precision: bfloat16, float16 or float32.
        gpus: processes.
        picture_elements: of one layer of an encoded picture, where every process collects those of
            all: the layer and its gradient are there at a time.
        momentum: bytes of a momentum model and its queues.
    """
    size = ACTIVATION_BYTES[precision]
    return Memory(
        parameters=parameters * PARAMETER_BYTES[precision],
        buffer=min(BUFFER, parameters) * size if gpus > 1 else 0.0,
        sample=activations * MOMENTARY,
        gathered=2.0 * gpus * picture_elements * size if gpus > 1 else 0.0,
        momentum=momentum,
    )
