"""The wire of each step of a conversation with web search, held to files (golden/search_*.json).

A file is one conversation (tests/support/golden_conversations.py): its `tools`, the outcomes of
`searches` (pages, or the code of an error), `pages` that are fetched, `cells` of the sandbox, and
what the user has `asked`. Held by hand to Anthropic's own words on both tools and on citations.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from golden_conversations import hold
from web_fetches import ScriptedPages
from web_searches import Searching

from anthropic_bedrock_proxy.fetch.base import Page
from anthropic_bedrock_proxy.sandbox.base import CellOutcome
from anthropic_bedrock_proxy.search.base import SearchHit
from anthropic_bedrock_proxy.tools.kinds import web_fetch
from anthropic_bedrock_proxy.tools.web.fetch_options import WebFetchOptions

FILES = sorted((Path(__file__).parent / "golden").glob("search_*.json"))
EXPECTED = {
    "search_cited",
    "search_excluded",
    "search_failed",
    "search_fetched",
    "search_found",
    "search_nested",
    "search_nothing",
    "search_shortcut",
}


def talk_of(case):
    outcomes = [
        each if isinstance(each, str) else msgspec.convert(each, list[SearchHit])
        for each in case["searches"]
    ]
    pages = ScriptedPages(*msgspec.convert(case.get("pages", []), list[Page]))
    talk = Searching(
        *outcomes,
        tools=case["tools"],
        cells=msgspec.convert(case.get("cells", []), list[CellOutcome]),
        kinds=[web_fetch(pages, WebFetchOptions())],
    )
    talk.messages = [{"role": "user", "content": case["asked"]}]
    return talk


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_step_of_a_search_is_as_the_file_says(path):
    case = json.loads(path.read_text())
    talk = talk_of(case)
    hold(path, case, talk)
    assert talk.searcher.outcomes == []


def test_there_is_a_file_for_each_block_of_a_search():
    assert {path.stem for path in FILES} == EXPECTED
