"""A folder in which the paths that the pages' commands name exist, and those commands."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from tests.support import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted(  # the commands of extend need its own parts: examples/test_extend.py
        page for page in (ROOT / "examples").glob("*/README.md") if page.parent.name != "extend"
    ),
    *sorted((ROOT / "docs").glob("*.md")),
]
OWN = re.compile(r"python (-m (preprocess|mt_fairseq|benchmarks|examples)\b|examples/)")
OUTPUTS = ("--out", "--dest", "--to", "--json", "--page")
Main = Callable[[list[str]], int | None]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Programs of this checkout that the pages start, with their arguments, each once."""
    seen = set()
    for page in PAGES:
        blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            if not OWN.match(line.strip()):
                continue
            words = shlex.split(re.sub(r"[\[\]]", "", line), comments=True)  # [--json FILE]
            program, arguments = (
                (words[2], words[3:]) if words[1] == "-m" else (words[1], words[2:])
            )
            if (program, *arguments) not in seen:
                seen.add((program, *arguments))
                yield program, arguments


def main_of(program: str) -> Main:
    """What a program runs: ``mt_fairseq.plan`` or ``examples/sweep/run.py``."""
    name = program.removesuffix(".py").replace("/", ".")
    package = importlib.util.find_spec(name)
    assert package is not None, program
    if package.submodule_search_locations:
        name += ".__main__"
    main: Main = importlib.import_module(name).main
    return main


def inputs(arguments: list[str]) -> Iterator[str]:
    """Words of a command that name something to read."""
    for place, word in enumerate(arguments):
        option = arguments[place - 1] if place else ""
        value = word.rpartition("=")[2] if re.match(r"[\w.]+=", word) else word
        if option not in OUTPUTS and not word.startswith("-") and _kind(value):
            yield value


def _kind(word: str) -> str:
    """What stands for a path: a name of :func:`prepare`'s ``real``; nothing for other words."""
    kinds = {
        r".*\.(pt|pth|ckpt)|.*\$(VQA|PRETRAINED)": "checkpoint",
        r"(checkpoints|exported|folders)/.*": "checkpoints",
        r".*dict\.label\.txt": "labels",
        r"(.*/)?data-bin/.*": "data-bin",
        r"results/.*": "results",
        r"parts/.*": "part",
        r".*\.jpe?g": "image",
        r"RAW|my-data|raw/.*|.*easy_vqa/data": "raw",
    }
    return next((kind for form, kind in kinds.items() if re.fullmatch(form, word)), "")


def prepare(folder: Path, arguments: list[str], real: dict[str, Path]) -> list[str]:
    """The arguments; what they read is in the working folder, by links to real things."""
    for option, word in pairwise(arguments):
        if option in OUTPUTS:
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
    for word in inputs(arguments):
        path = folder / word
        if not (path.exists() or path.is_symlink()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(real[_kind(word)])
    return arguments
