"""Pages that a test makes, and conversations that fetch them."""

from __future__ import annotations

from conversation import Conversation
from turn_support import call

from anthropic_bedrock_proxy.fetch.base import FetchError, Page
from anthropic_bedrock_proxy.tools.kinds import web_fetch
from anthropic_bedrock_proxy.tools.web.fetch_options import WebFetchOptions

FIRST, SECOND, THIRD, LATEST = (
    f"web_fetch_{day}" for day in (20250910, 20260209, 20260309, 20260318)
)
MOMENT = 1_796_000_000.5  # 2026-11-30T00:53:20Z
URL = "https://docs.example/3.14"
PYTHON = Page(
    URL,
    MOMENT,
    "What's new",
    "# Python 3.14\n\nIt came out in October. "
    + "It is fast. " * 12
    + "\n\nSee [more](https://more.example/a_(b)).",
)
PDF = Page("https://docs.example/a.pdf", MOMENT, pdf=b"%PDF-1.7 text")


class ScriptedPages:
    """A `Pages` whose outcomes are taken in order: pages, or errors."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.asked = []  # (url, key, fresh)

    async def read(self, url, *, key, fresh=False):
        self.asked.append((url, key, fresh))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, FetchError):
            raise outcome
        return outcome


def tool(kind=FIRST, **more):
    return {"type": kind, "name": "web_fetch", **more}


def fetching(url=URL, identifier="t"):
    return call("web_fetch", identifier, url=url)


class Fetching(Conversation):
    """A conversation with web fetch, in which the user has named `URL`, or says `said`."""

    def __init__(self, *outcomes, tools=None, cells=(), options=None, said=f"See {URL}.", **more):
        self.pages = ScriptedPages(*outcomes)
        kind = web_fetch(self.pages, options or WebFetchOptions())
        more.setdefault("code", bool(cells))
        kinds = [kind, *more.pop("kinds", ())]
        super().__init__(*cells, tools=tools or [tool()], kinds=kinds, **more)
        self.messages = [{"role": "user", "content": said}]
