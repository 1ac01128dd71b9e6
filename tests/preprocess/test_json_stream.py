"""Streaming equals parsing at once, wherever the chunks fall."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt_fairseq.errors import UserError
from preprocess import json_stream
from preprocess.json_stream import stream_list

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(
    before=st.dictionaries(st.text().filter(lambda k: k != "rows"), VALUES, max_size=3),
    rows=st.lists(VALUES, max_size=6),
    chunk=st.integers(1, 9),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_equals_parsing_at_once(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, Any],
    rows: list[Any],
    chunk: int,
    indent: int | None,
    ascii_only: bool,
) -> None:
    path = tmp_path_factory.mktemp("json") / "x.json"
    value = {**before, "rows": rows, "after": [1]}
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=ascii_only),
                    encoding="utf-8", errors="surrogatepass", newline="")  # fmt: skip
    old, json_stream.CHUNK = json_stream.CHUNK, chunk
    try:
        assert list(stream_list(path, "rows")) == rows
    except UserError as error:
        assert "UTF-8" in str(error)  # half a surrogate pair, written as it is
    finally:
        json_stream.CHUNK = old


def test_missing_file_and_bad_bytes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        list(stream_list(tmp_path / "none.json", "rows"))
    (tmp_path / "x.json").write_bytes(b'{"rows": ["\xff"]}')
    with pytest.raises(UserError, match="not UTF-8"):
        list(stream_list(tmp_path / "x.json", "rows"))


def test_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"rows": [1, 23]}')
    assert list(stream_list(tmp_path / "x.json", "rows")) == [1, 23]
