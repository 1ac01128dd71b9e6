"""The network of the two-tower family in plain PyTorch: what the papers' figures show."""
