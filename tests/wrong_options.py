"""Wrong values for the options of a command line, made from the right ones that stand there.

A command is a list of words. Each option of it becomes wrong once: a file that does not exist, a
negative number, a word for a number, a choice that does not exist. What kind of value an option
takes is read off its right value; only what cannot be read off is told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
FILE = re.compile(r".*(/|\.(pt|pth|json|jsonl|txt|yaml|png|jpe?g|html|csv|bin|h5))$|.*/.+")
OVERRIDE = re.compile(r"\+{0,2}[A-Za-z_][\w.]*=.*")  # as Hydra writes: dataset.batch_size=4
WORD = "nonsense"


class Wrong(NamedTuple):
    """A command of which one option is wrong.

    Attributes:
        option: name of the option, ``--batch-size`` or ``dataset.batch_size``, or the place of an
            argument that has no name, ``argument 1``.
        value: the wrong value.
        words: the whole command.

    Two of one ``kind`` differ in the right number, or in the name of the file, alone.
    """

    option: str
    value: str
    words: list[str]

    @property
    def kind(self) -> str:
        value = "file" if FILE.fullmatch(self.value) else re.sub(r"\d[\d.e-]*", "1", self.value)
        return f"{self.option}={value}"

    def __str__(self) -> str:
        return f"{self.option}={self.value}"


def wrong_values(value: str) -> list[str]:
    """Wrong values in place of a right one: of numbers, of each entry of a list, of files, words.

    >>> wrong_values("8")
    ['nonsense', '-8']
    >>> wrong_values("0")
    ['nonsense', '-1']
    >>> wrong_values("[8]")
    ['[nonsense]', '[-8]']
    >>> wrong_values("itc,mlm")
    ['itc,nonsense']
    >>> wrong_values("runs/vqa.pt")
    ['runs/vqa.pt.nonsense']
    """
    if value.startswith("[") and value.endswith("]"):
        return [f"[{wrong}]" for wrong in wrong_values(value[1:-1])]
    if NUMBER.fullmatch(value):
        return [WORD, f"-{value.lstrip('+-')}" if float(value) else "-1"]
    if FILE.fullmatch(value):
        return [f"{value.rstrip('/')}.{WORD}"]
    first, comma, _ = value.rpartition(",")
    if NUMBER.fullmatch(first.split(",")[0]):  # a list of numbers
        return [f"{first},{WORD}", f"-{value.lstrip('+-')}"]
    return [f"{first}{comma}{WORD}"]


def wrong_commands(words: list[str], leave: Collection[str] = ()) -> Iterator[Wrong]:
    """Every way in which one option of a command is wrong.

    Args:
        words: a command without the name of its program: options with their values, switches,
            Hydra's overrides, arguments without a name.
        leave: options, as ``Wrong.option`` names them, for which any value is right: free text,
            a folder that is made where it does not exist.
    """
    option, arguments = "", 0
    for place, word in enumerate(words):
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            if not equals:
                continue
            name, head = option, f"{option}="
            option = ""
        elif option:  # a value; further values of the same option too
            name, head, value = option, "", word
            following = words[place + 1 : place + 2]
            if following and not _is_value(following[0]):
                option = ""
        elif OVERRIDE.fullmatch(word):
            left, _, value = word.partition("=")
            name, head = left.lstrip("+"), f"{left}="
        else:
            arguments += 1
            name, head, value = f"argument {arguments}", "", word
        if name not in leave:
            for wrong in wrong_values(value):
                yield Wrong(name, wrong, [*words[:place], f"{head}{wrong}", *words[place + 1 :]])


def _is_value(word: str) -> bool:
    return not word.startswith("--") and not OVERRIDE.fullmatch(word)
