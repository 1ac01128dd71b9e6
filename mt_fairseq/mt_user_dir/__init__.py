"""The ``--user-dir`` of an installed copy (``mt-user-dir`` prints where it lies)."""

import mt_fairseq.plugin  # noqa: F401
