"""fairseq models and architectures of the two-tower family."""
