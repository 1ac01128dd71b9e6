"""The index of the examples."""

from __future__ import annotations

import re

from tests.support import ROOT

EXAMPLES = ROOT / "examples"


def test_every_folder_with_a_readme_is_listed_once() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(\w+)\]\(\1/README\.md\)", index, re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
