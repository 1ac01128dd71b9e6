"""Checks of the options of fairseq's commands, made before any work starts."""
