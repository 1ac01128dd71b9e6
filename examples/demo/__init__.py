"""The demonstration: a small world of pictures, baselines and the run from raw files to a table."""
