"""A local web page on which a trained model is tried: ``python -m mt_fairseq.demo CHECKPOINT``."""
