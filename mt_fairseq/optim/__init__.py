"""The reference's optimizer and learning-rate schedule."""
