"""The web search tool behind an AgentCore gateway of the operator's: MCP, two calls over HTTP.

The gateway lists its tools once; the one that searches is called from then on. Answers are JSON or
one server-sent event. Sources: the developer guide's "Use an AgentCore gateway"; answers of the
connector that its users have shown: a text with the JSON

    {"id": "1", "results": [{"publishedDate": "unknown", "text": "", "title": "", "url": ""}]}
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

import msgspec

from .agentcore import MAX_QUERY, MAX_RESULTS, domain_filters
from .base import SearchError, SearchHit, SearchQuery
from .client import SearchAnswer, SearchClient, check_status, decode
from .hits import cut, make_hit, usable

NAME: Final = "agentcore"
DENIED: Final = (
    "let the role of the proxy do bedrock-agentcore:InvokeGateway on that gateway, or correct "
    "WEB_SEARCH_API_KEY, its bearer token"
)
_HEADERS: Final = (
    ("accept", "application/json, text/event-stream"),
    ("mcp-protocol-version", "2025-06-18"),
)
_TOOL: Final = "WebSearch"
_MAX_PAGES: Final = 20
_NOTHING: Final = msgspec.Raw()
_NO_SUCH_TOOL: Final = -32602  # JSON-RPC's "invalid params", which MCP says of unknown tools


class _GatewayTool(msgspec.Struct, frozen=True):
    name: str
    schema: dict[str, Any] = msgspec.field(name="inputSchema", default_factory=dict)


class _GatewayTools(msgspec.Struct, frozen=True):
    tools: list[_GatewayTool]
    next_cursor: str | None = msgspec.field(name="nextCursor", default=None)


class _RPCFailure(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class _Reply(msgspec.Struct, frozen=True):
    jsonrpc: str
    result: msgspec.Raw = _NOTHING
    error: _RPCFailure | None = None


class _Content(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class _Called(msgspec.Struct, frozen=True):
    content: list[_Content] = []
    structured: msgspec.Raw = msgspec.field(name="structuredContent", default=_NOTHING)
    is_error: bool = msgspec.field(name="isError", default=False)


class _WebPage(msgspec.Struct, frozen=True):
    text: str | None = None
    title: str | None = None
    url: str | None = None
    published: str | None = msgspec.field(name="publishedDate", default=None)


class _WebPages(msgspec.Struct, frozen=True):
    results: list[_WebPage]


class GatewayDoor(Protocol):
    """The way into a gateway: signed, or with a bearer token."""

    async def post(
        self, path: str, document: object, headers: tuple[tuple[str, str], ...] = ()
    ) -> SearchAnswer:
        """Sends a document; returns an answer of status 200. Raises `SearchError`."""
        ...

    async def close(self) -> None:
        """Drops the connections."""
        ...


class BearerDoor:
    """A `GatewayDoor` of a gateway that wants a bearer token."""

    def __init__(self, client: SearchClient, token: str) -> None:
        self._client = client
        self._token = (("authorization", f"Bearer {token}"),)

    async def post(
        self, path: str, document: object, headers: tuple[tuple[str, str], ...] = ()
    ) -> SearchAnswer:
        """See `GatewayDoor`."""
        answer = await self._client.post(path, document, (*headers, *self._token))
        check_status(answer, denied=DENIED)
        return answer

    async def close(self) -> None:
        """See `GatewayDoor`."""
        await self._client.close()


class AgentCoreGatewaySearch:
    """A `SearchBackend` of a gateway's tool. Belongs to one event loop."""

    name = NAME

    def __init__(self, door: GatewayDoor, path: str) -> None:
        """`path` is that of the gateway's MCP endpoint, `/mcp` as a rule."""
        self._door = door
        self._path = path or "/mcp"
        self._tool: _GatewayTool | None = None
        self._calls = 0

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """See `SearchBackend`."""
        tool = self._tool = self._tool or await self._find()
        arguments: dict[str, Any] = {
            "query": cut(query.text, MAX_QUERY),
            "maxResults": max(1, min(query.max_results, MAX_RESULTS)),
        }
        # Gateways of today say so in the schema; those of before refuse what they do not know.
        if "filters" in (tool.schema.get("properties") or {}):
            arguments |= {"filters": filters} if (filters := domain_filters(query)) else {}
        raw = await self._call("tools/call", {"name": tool.name, "arguments": arguments})
        pages = _pages(decode(raw, _Called))
        hits = (make_hit(one.url, one.title, one.text, one.published) for one in pages.results)
        return usable(hits, query.max_results)

    async def close(self) -> None:
        """See `SearchBackend`."""
        await self._door.close()

    async def _find(self) -> _GatewayTool:
        """Looks for the tool that searches among those of the gateway."""
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            asked = {} if cursor is None else {"cursor": cursor}
            page = decode(await self._call("tools/list", asked), _GatewayTools)
            if found := [tool for tool in page.tools if _TOOL in tool.name]:
                return found[0]
            cursor = page.next_cursor
            if not cursor:
                break
        raise SearchError(
            "unavailable", "the gateway has no WebSearch tool: add a web-search target to it"
        )

    async def _call(self, method: str, params: dict[str, Any]) -> bytes:
        """Makes one call of JSON-RPC; returns the JSON of its result."""
        self._calls += 1
        document = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": params}
        answer = await self._door.post(self._path, document, _HEADERS)
        reply = decode(_message(answer), _Reply)
        if reply.error is not None:
            if reply.error.code == _NO_SUCH_TOOL:
                self._tool = None  # it may have another name now: the next search looks
            raise _failed(reply.error.message, f"error {reply.error.code}")
        if not bytes(reply.result):
            raise SearchError("unavailable", "the answer has neither a result nor an error")
        return bytes(reply.result)


def region_of(host: str) -> str | None:
    """Returns the region of a gateway, as AWS names its host; None for another host."""
    found = re.search(r"\.gateway\.bedrock-agentcore\.([a-z0-9-]+)\.", host)
    return None if found is None else found[1]


def _message(answer: SearchAnswer) -> bytes:
    """Returns the JSON of an answer, which may be the data of a server-sent event."""
    kind = answer.headers.get(b"content-type", b"").lower()
    if not kind.startswith(b"text/event-stream"):
        return answer.body
    events = answer.body.replace(b"\r\n", b"\n").split(b"\n\n")
    for event in events:
        lines = [line for line in event.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join([line.removeprefix(b"data:").removeprefix(b" ") for line in lines])
        if b'"result"' in data or b'"error"' in data:  # others tell of progress
            return data
    raise SearchError("unavailable", "the answer is an event stream without an answer")


def _pages(called: _Called) -> _WebPages:
    """Returns the pages of a call's result."""
    texts = [one.text for one in called.content if one.type == "text"]
    if called.is_error:
        raise _failed(" ".join(texts), "the tool failed")
    if structured := bytes(called.structured):
        return decode(structured, _WebPages)
    if not texts:
        raise SearchError("unavailable", "the answer of the tool has no text")
    return decode("".join(texts).encode(), _WebPages)


def _failed(message: str, what: str) -> SearchError:
    """Makes the error of a failed call; `message` is looked at and not told."""
    if "throttl" in message.lower() or "too many requests" in message.lower():
        return SearchError("too_many_requests", "the gateway allows no more searches now")
    return SearchError("unavailable", f"the gateway could not search ({what})")
