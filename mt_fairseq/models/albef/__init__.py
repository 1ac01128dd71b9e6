"""ALBEF as a fairseq model: configuration, build, heads, steps and loading."""
