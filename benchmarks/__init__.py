"""Benchmarks: ``python -m benchmarks NAME``; each measures beside a peer in the same run."""
