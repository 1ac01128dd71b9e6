"""Options whose choices are a registry's names: read when they are asked for."""

from __future__ import annotations

import pytest

from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.managertower import ManagerTowerConfig
from mt_fairseq.modules.aggregation.managers import MANAGERS, StaticManager, register_manager
from mt_fairseq.open_options import check_open_options
from mt_fairseq.registry import Registry


def test_an_unknown_name_is_one_line_that_lists_all() -> None:
    with pytest.raises(UserError, match="--manager-type best: there is no such manager; take one"):
        check_open_options(ManagerTowerConfig, {"manager_type": "best"})
    check_open_options(ManagerTowerConfig, {"manager_type": "aaue", "fusion": None})


def test_a_name_counts_as_soon_as_it_is_registered() -> None:
    options = ManagerTowerConfig()
    assert "of-today" not in options._get_help("manager_type")
    register_manager("of-today")(StaticManager)
    try:
        assert "cross-attention, of-today" in options._get_help("manager_type")
        check_open_options(ManagerTowerConfig, {"manager_type": "of-today"})
    finally:
        del MANAGERS.entries["of-today"]


def test_names_are_taken_once() -> None:
    parts: Registry[int] = Registry("part")
    parts.register("one")(1)
    with pytest.raises(UserError, match=r"there is a part 'one' already; .*registered: one"):
        parts.register("one")(2)
    with pytest.raises(UserError, match="unknown part 'two': take one of one"):
        parts["two"]
    assert "one" in parts and "two" not in parts and list(parts) == ["one"] and len(parts) == 1
