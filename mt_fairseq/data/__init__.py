"""Formats of a data-bin and what reads them: images, text, columns, dictionaries."""
