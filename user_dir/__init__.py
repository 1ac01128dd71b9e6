"""What ``--user-dir user_dir`` names: importing it registers the plug-in with fairseq."""

import mt_fairseq.plugin  # noqa: F401
