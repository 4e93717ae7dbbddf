"""The wire of each step of a conversation with code, held to files (golden/*.json).

A file is one conversation (tests/support/golden_conversations.py), with its `tools` and the
`outcomes` of the sandbox in their order.
Held to Anthropic's own words by hand: reference of the Anthropic API, sections 7 and 8.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from conversation import Conversation
from golden_conversations import hold

from anthropic_bedrock_proxy.sandbox.base import CellOutcome

FILES = sorted((Path(__file__).parent / "golden").glob("*.json"))
_outcome = msgspec.json.Decoder(CellOutcome).decode


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_step_is_as_the_file_says(path):
    case = json.loads(path.read_text())
    outcomes = (_outcome(json.dumps(each)) for each in case["outcomes"])
    hold(path, case, Conversation(*outcomes, tools=case["tools"]))


def test_there_are_files_for_every_step_of_the_table():
    assert {path.stem for path in FILES} >= {
        "sequential",
        "gathered",
        "mixed",
        "versions",
        "errors",
    }
