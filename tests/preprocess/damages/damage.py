"""One random damage to a folder of raw files: a value, a line, some bytes, or a file as a whole."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

HUGE, DEEP = "@huge@", "@deep@"
"""Stand in a JSON text for a number of 5,000 digits and for 100,000 nested lists."""
WRITTEN = {f'"{HUGE}"': "9" * 5000, f'"{DEEP}"': "[" * 100_000 + "]" * 100_000}
OTHER_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 7, 2.5, 2**63, -(2**63) - 1, float("inf"), float("nan"),
    HUGE, DEEP, "", " ", "\u200b", "x", "A", "\ud800", "12", "a\nb", "\x00", "../x", "/etc/x", [],
    [1], ["x"], [None], [[]], {}, {"a": 1}, {"raw": None},
]  # fmt: skip
IMAGES = {".jpg", ".png"}

Place = tuple[Any, Any]
"""A list or an object, and the index or name of one of its members."""


def damage(raw: Path, rng: random.Random) -> str:
    """Do one damage to one file; says which, for the message of a test that fails."""
    files = sorted(path for path in raw.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix not in IMAGES]
    path = rng.choice(texts if rng.random() < 0.8 else files)
    structured = path.suffix in {".json", ".jsonl", ".p"}
    if structured and rng.random() < 0.6:
        what = _damage_structure(path, rng)
    elif path.suffix not in IMAGES and rng.random() < 0.4:
        what = _damage_lines(path, rng)
    elif rng.random() < 0.7:
        what = _damage_bytes(path, rng)
    else:
        what = _damage_file(path, files, rng)
    return f"{path.relative_to(raw)}: {what}"


def _damage_structure(path: Path, rng: random.Random) -> str:
    if path.suffix == ".p":
        content = pickle.loads(path.read_bytes())
        what = change(content, rng)
        path.write_bytes(pickle.dumps(content, protocol=2))
        return what
    text = path.read_text(encoding="utf-8")
    try:
        contents = [json.loads(text)]
    except json.JSONDecodeError:
        contents = [json.loads(line) for line in text.splitlines()]
    what = change(rng.choice(contents), rng)
    text = "\n".join(json.dumps(content, ensure_ascii=rng.random() < 0.5) for content in contents)
    for mark, written in WRITTEN.items():
        text = text.replace(mark, written)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return what


def change(content: Any, rng: random.Random) -> str:
    """Change one member of a nested value in place: gone, other, swapped, renamed, or twice."""
    container, name = rng.choice(_places(content))
    old = container[name]
    kind = rng.choice(["remove", "other", "other", "other", "swap", "rename", "twice"])
    if kind == "remove":
        del container[name]
    elif kind == "swap":
        other = rng.choice(
            list(container) if isinstance(container, dict) else range(len(container))
        )
        container[name], container[other] = container[other], container[name]
    elif kind == "rename" and isinstance(container, dict):
        container[name.swapcase()] = container.pop(name)
    elif kind == "twice" and isinstance(container, list):
        container.insert(name, old)
    else:
        container[name] = rng.choice(OTHER_VALUES)
        kind = f"becomes {str(container[name])[:30]!r}"
    return f"{str(name)[:30]!r} ({str(old)[:60]}) {kind}"


def _places(value: Any) -> list[Place]:
    members: list[Any] = []
    if isinstance(value, dict):
        members = list(value)
    elif isinstance(value, list):
        members = list(range(len(value)))
    found: list[Place] = [(value, member) for member in members]
    for member in members:
        found += _places(value[member])
    return found


def _damage_lines(path: Path, rng: random.Random) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    number = rng.randrange(len(lines))
    kinds: dict[str, Callable[[bytes], bytes]] = {
        "removed": lambda line: b"",
        "twice": lambda line: line + line,
        "blank": lambda line: b"\n",
        "without its end": lambda line: line.rstrip(b"\n"),
        "with a tab more": lambda line: b"\t" + line,
        "without tabs and commas": lambda line: line.replace(b"\t", b" ").replace(b",", b" "),
        "with carriage returns": lambda line: line.replace(b"\n", b"\r\n"),
        "with zero bytes": lambda line: line[:3] + b"\0" + line[3:],
    }
    kind = rng.choice(sorted(kinds))
    lines[number] = kinds[kind](lines[number])
    path.write_bytes(b"".join(lines))
    return f"line {number} {kind}"


def _damage_bytes(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    at, count = rng.randrange(len(data)), rng.randint(1, 4)
    kind = rng.choice(["flip", "flip", "cut", "insert", "delete", "mark", "utf-16"])
    if kind == "flip":
        for _ in range(count):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "insert":
        data[at:at] = rng.randbytes(count)
    elif kind == "delete":
        del data[at : at + 10 * count]
    elif kind == "mark":
        data[0:0] = b"\xef\xbb\xbf"
    else:
        data = bytearray(bytes(data).decode("latin-1").encode("utf-16"))
    path.write_bytes(data)
    return f"bytes, {kind} at {at}"


def _damage_file(path: Path, files: list[Path], rng: random.Random) -> str:
    alike = [other for other in files if other.suffix == path.suffix]
    other = rng.choice(alike)
    kind = rng.choice(["removed", "renamed", "swapped", "a folder", "hidden copy", "empty"])
    data = path.read_bytes()
    if kind == "removed":
        path.unlink()
    elif kind == "renamed":
        path.rename(path.with_name("other-" + path.name))
    elif kind == "swapped":
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif kind == "a folder":
        path.unlink()
        path.mkdir()
    elif kind == "hidden copy":
        path.with_name("._" + path.name).write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(b"")
    return f"{kind} ({other.name})"
