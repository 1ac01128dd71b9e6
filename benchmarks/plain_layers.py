"""The network over the plain forms of its operations, for straightforward forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from mt_fairseq import kernels
from mt_fairseq.kernels.cpu import products


@contextmanager
def plain_layers() -> Iterator[None]:
    """Inside, every model computes with the plain forms, as under MT_PLAIN_KERNELS=1."""
    plain = mock.patch.object(kernels, "PLAIN", True)
    with plain, mock.patch.object(products, "ONEDNN_IS_FASTER", False):
        yield
