"""fairseq criterions, one file an objective."""
