"""The byte-level tokenizer, which loses nothing of a text."""

from tests.data.conftest import roberta_folder  # noqa: F401  a fixture, known by its name
