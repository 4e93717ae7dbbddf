"""The pages of figures say what the benches said."""

from __future__ import annotations

import pytest
from bench.report import PAGES, ROOT, Costs, Gateway, Machine, per_dollar, tables, written


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_are_those_of_the_results(page):
    text = (ROOT / page).read_text()
    assert written(text, tables()) == text, "run `python -m bench.report`"


def test_every_table_stands_in_a_page():
    text = "".join((ROOT / page).read_text() for page in PAGES)
    assert [name for name in tables() if f"<!-- table: {name} -->" not in text] == []


def test_a_table_that_nobody_makes_is_refused():
    with pytest.raises(KeyError, match="lost"):
        written("<!-- table: lost -->\n<!-- end -->", {})


def test_the_worked_example_of_a_dollar():
    machine = Machine("Fargate", vcpus=1, hour=0.0395)
    costs = Costs(used=0.6, machines=[machine], gateways=[], loads=[])
    assert round(per_dollar(Gateway("ours", 200, ""), machine, costs) / 1e6) == 273
