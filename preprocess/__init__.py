"""From the raw files of a dataset to a data-bin: ``python -m preprocess``."""
