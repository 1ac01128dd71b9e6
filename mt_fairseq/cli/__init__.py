"""The commands of an installed copy."""
