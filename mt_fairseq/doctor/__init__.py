"""``python -m mt_fairseq.doctor``: what is wrong with an installation, a checkpoint, a data-bin."""
