"""Forms that are faster on CPUs alone."""
