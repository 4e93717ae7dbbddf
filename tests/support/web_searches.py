"""Web searches that find what a test says, and conversations with them."""

from __future__ import annotations

from conversation import Conversation
from turn_support import call

from anthropic_bedrock_proxy.search.base import SearchError, SearchHit
from anthropic_bedrock_proxy.tools.kinds import web_search
from anthropic_bedrock_proxy.tools.web.seal import Seals
from anthropic_bedrock_proxy.tools.web.search_options import WebSearchOptions

NOW = 1_796_000_000.0
OLD, NEW, LAST = (f"web_search_{day}" for day in (20250305, 20260209, 20260318))
PYTHON = SearchHit(
    "https://docs.example/3.14",
    "What's new",
    "Python 3.14 came out in October. " * 4 + "It has deferred annotations.",
    "2 days ago",
)
RUST = SearchHit("https://rust.example/", "Rust", "Rust is a language.")


class ScriptedSearcher:
    """A `Searcher` whose outcomes are taken in order: lists of hits, or codes of errors."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.asked = []  # (key, query)

    async def search(self, query, *, key):
        self.asked.append((key, query))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, str):
            raise SearchError(outcome, "a reason")
        return outcome


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def tool(kind=OLD, **more):
    return {"type": kind, "name": "web_search", **more}


def searching(query="python", identifier="t"):
    return call("web_search", identifier, query=query)


class Searching(Conversation):
    """A conversation with web search; `outcomes` are those of searches, `cells` those of code."""

    def __init__(self, *outcomes, tools=None, cells=(), seals=None, search=None, **more):
        self.searcher = ScriptedSearcher(*outcomes)
        self.clock = Clock()
        self.seals = seals or Seals([b"k" * 32], self.clock, 30)

        async def load():
            return self.seals

        kind = web_search(self.searcher, load, search or WebSearchOptions())
        more.setdefault("kinds", ())
        kinds = [kind, *more.pop("kinds")]
        super().__init__(*cells, tools=tools or [tool()], kinds=kinds, **more)
