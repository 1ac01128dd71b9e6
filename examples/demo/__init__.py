"""The demonstration: a small world of images, baselines and the run from raw files to a table."""
