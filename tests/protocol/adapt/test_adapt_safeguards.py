"""Safeguards and their beta flag: both reach the model, or neither does and the answer says so."""

from __future__ import annotations

import pytest
from adapting import HAIKU, OPUS, QWEN, adapted, without

FLAG = "dangerous-tool-use-2026-09-03"
ASKED = [{"type": "dangerous_tool_use", "classifier_context": {"v": 1}}]
NOT_RUN = [{"type": "dangerous_tool_use", "status": {"type": "unavailable", "reason": "disabled"}}]


@pytest.mark.parametrize("dialect", ["invoke", "messages", "mantle"])
def test_a_model_that_takes_the_flag_gets_the_checks(dialect):
    result = adapted(OPUS, dialect, [FLAG], safeguards=ASKED)
    assert result.safeguards == ASKED
    assert (result.added, result.warnings) == ({}, [])


@pytest.mark.parametrize(
    ("model", "dialect"),
    [(HAIKU, "invoke"), (HAIKU, "mantle"), (OPUS, "converse"), (QWEN, "converse")],
)
def test_elsewhere_the_answer_says_that_the_checks_did_not_run(model, dialect):
    result = adapted(model, dialect, [FLAG], safeguards=ASKED)
    assert result.safeguards is None
    assert result.added == {"safeguard_results": NOT_RUN}
    assert result.warnings == ["safeguards: this model checks no tool calls; left out"]


def test_a_blocked_flag_takes_the_checks_with_it():
    result = adapted(OPUS, "messages", [FLAG], rules=without(FLAG), safeguards=ASKED)
    assert result.safeguards is None
    assert result.added == {"safeguard_results": NOT_RUN}


@pytest.mark.parametrize("value", [None, [], "all", [1]])
def test_what_asks_for_no_check_gets_no_result(value):
    result = adapted(HAIKU, safeguards=value)
    assert result.safeguards is None
    assert not result.added.get("safeguard_results")
