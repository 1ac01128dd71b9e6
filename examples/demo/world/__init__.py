"""A small world of pictures with true labels, written in the raw layouts of real datasets.

``scene`` says what a picture holds, ``render`` draws it, ``language`` and ``questions`` say what
is true of it, and ``layouts`` write one real dataset's files each.
"""
