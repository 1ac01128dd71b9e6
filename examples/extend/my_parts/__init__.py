"""A ``--user-dir`` of one's own: importing it registers these parts beside the package's."""

import mt_fairseq.plugin  # noqa: F401

from . import encoder, fusion, manager, rating, transform  # noqa: F401
