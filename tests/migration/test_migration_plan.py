"""Lines for .env are read back as they were meant."""

from __future__ import annotations

import pytest
from dotenv import dotenv_values

from anthropic_bedrock_proxy.migration.plan import PlannedSetting


@pytest.mark.parametrize(
    "value",
    ["", "plain", "with a space", '{"a": "b"}', "it's", "back\\slash", "a#b", "a \\' b", "x\ny"],
)
def test_a_line_keeps_its_value(value, tmp_path):
    file = tmp_path / ".env"
    file.write_text(PlannedSetting(name="A", value=value, source="").line() + "\nB=2\n")
    assert dotenv_values(file) == {"A": value, "B": "2"}


def test_a_line_may_name_a_variable_in_quotes_too(tmp_path):
    file = tmp_path / ".env"
    line = PlannedSetting(name="A", value='{"k": "${SECRET}"}', source="").line()
    file.write_text(f"SECRET=s\n{line}\n")
    assert dotenv_values(file)["A"] == '{"k": "s"}'
