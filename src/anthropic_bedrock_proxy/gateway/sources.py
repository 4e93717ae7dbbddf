"""Images and documents that a request names by URL: fetched, and put into it.

Bedrock takes no `url` sources. What is not touched here (a `file` source, a `url` source where the
API allows none) is refused later with its path. A URL that occurs several times is fetched once.
Sizes count as Bedrock counts them: in the form in which they stand in the body, base64 or JSON.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from ..errors import InvalidRequestError, ProxyError, RateLimitError
from ..fetch.base import BusyError, Fetched, Fetcher, FetchError, TooLargeError
from ..fetch.charset import DEFAULT, known_charset
from ..protocol.raw import MISSHAPEN, UNEXPECTED_FORM, decode, decode_raws, encode
from ..protocol.request.messages import MessagesRequest, decode_message
from ..protocol.request.views import BlockView, MessageView, RequestView, SourceView

MAX_IMAGE: Final = 5 * 1024 * 1024  # of base64, one image; Bedrock's own bound
MAX_TOTAL: Final = 20 * 1024 * 1024  # of all that is put in: InvokeModel takes 25,000,000 bytes
MAX_URLS: Final = 100
_AT_ONCE: Final = 8  # of one request, so that it leaves room for others
# message -> tool_result -> document -> its content: deeper ones are refused later
_MAX_DEPTH: Final = 3
_ACCEPTED: Final = {
    "image": frozenset(("image/png", "image/jpeg", "image/gif", "image/webp")),
    "document": frozenset(("application/pdf", "text/*")),
}


class _Spot(msgspec.Struct, frozen=True):
    """A block with a `url` source: its path, and the block in the tree that will be sent."""

    path: str
    block: dict[str, Any]


_Wanted = dict[tuple[str, str], list[_Spot]]  # by URL and type of block


class _Inlining:
    """A request being filled in: only the messages that name URLs are taken apart."""

    def __init__(self, request: MessagesRequest) -> None:
        self._request = request
        self._raws = decode_raws(request.fields["messages"])
        self._trees: dict[int, dict[str, Any]] = {}
        self.wanted: _Wanted = {}
        for index, message in enumerate(request.view.messages):
            if isinstance(message.content, list) and _any_url(message.content, 1):
                self._trees[index] = tree = decode(self._raws[index])
                for spot in _spots(message.content, tree["content"], f"messages.{index}.content"):
                    self.wanted.setdefault((_url_of(spot), spot.block["type"]), []).append(spot)

    def finish(self) -> MessagesRequest:
        """Returns the request with what the spots now hold."""
        request, raws = self._request, self._raws
        views: list[MessageView] = list(request.view.messages)
        for index, tree in self._trees.items():
            raws[index] = Raw(encode(tree))
            views[index] = decode_message(raws[index])
        fields = {**request.fields, "messages": Raw(encode(raws))}
        view = msgspec.structs.replace(request.view, messages=views)
        return MessagesRequest(fields, view, request.version)


class Sources:
    """Puts the content behind URLs into requests."""

    def __init__(self, fetcher: Fetcher, *, timeout_seconds: float = 60.0) -> None:
        """`timeout_seconds` bounds all fetches of one request together."""
        self._fetcher = fetcher
        self._timeout_seconds = timeout_seconds

    async def inline(self, request: MessagesRequest, key_id: str) -> MessagesRequest:
        """Inlines the `url` sources of a request of a key; the same object if it has none.

        Raises `InvalidRequestError` with the path of what cannot be fetched or is too large, and
        `RateLimitError` when too much is being fetched for the key.
        """
        if not has_urls(request.view):
            return request
        try:
            draft = _Inlining(request)
        except MISSHAPEN:
            raise InvalidRequestError(UNEXPECTED_FORM) from None
        if len(draft.wanted) > MAX_URLS:
            raise InvalidRequestError(f"messages: at most {MAX_URLS} URLs are fetched")
        await self._fetch_all(draft.wanted, key_id)
        return draft.finish()

    async def _fetch_all(self, wanted: _Wanted, key_id: str) -> None:
        budget = _FetchAllowance()
        at_once = asyncio.Semaphore(_AT_ONCE)
        # Not exceptions: a group of them would keep the request alive.
        refusals: list[tuple[type[ProxyError], str]] = []
        tasks: list[asyncio.Task[None]] = []

        async def one(url: str, kind: str, spots: list[_Spot]) -> None:
            try:
                async with at_once:
                    fetched = await self._fetch(url, spots, budget, key_id)
                source = _source(kind, fetched, spots[0].path)
                budget.take(source, len(spots))
            except (InvalidRequestError, RateLimitError) as error:
                refusals.append((type(error), error.message))
                for task in tasks:
                    task.cancel()
            else:
                for spot in spots:
                    spot.block["source"] = source

        try:
            async with asyncio.timeout(self._timeout_seconds), asyncio.TaskGroup() as group:
                tasks += [
                    group.create_task(one(url, kind, spots))
                    for (url, kind), spots in wanted.items()
                ]
        except TimeoutError:
            raise InvalidRequestError(
                "messages: the content of the URLs in the request did not arrive within "
                f"{self._timeout_seconds:g} seconds"
            ) from None
        finally:
            tasks.clear()  # a cancelled one refers to itself by this list
        if refusals:
            refused, message = refusals[0]
            raise refused(message)

    async def _fetch(
        self, url: str, spots: list[_Spot], budget: _FetchAllowance, key_id: str
    ) -> Fetched:
        kind = spots[0].block["type"]
        limit = budget.limit(kind, len(spots))
        path = f"{spots[0].path}.source.url"
        try:
            return await self._fetcher.fetch(
                url, accept=_ACCEPTED[kind], max_bytes=limit, key=key_id
            )
        except TooLargeError as error:
            if kind == "image" and limit == MAX_IMAGE // 4 * 3:
                raise InvalidRequestError(
                    f"{path}: image exceeds 5 MB maximum: {error.reason}, and Bedrock takes no "
                    f"more than {MAX_IMAGE} bytes of base64"
                ) from None
            raise InvalidRequestError(
                f"{path}: could not be fetched: {error.reason}; what is fetched for a request may "
                f"have {MAX_TOTAL} bytes in all, as base64"
            ) from None
        except BusyError as error:
            raise RateLimitError(
                f"{path}: could not be fetched: {error.reason}", cause="limit:key/fetches"
            ) from None
        except FetchError as error:
            raise InvalidRequestError(f"{path}: could not be fetched: {error.reason}") from None


class _FetchAllowance:
    """The bytes that the fetched content of one request may still amount to, as base64."""

    def __init__(self) -> None:
        self._left = MAX_TOTAL

    def limit(self, kind: str, times: int) -> int:
        """Returns the bytes to fetch at most for content that is put in `times` times."""
        most = min(MAX_IMAGE, self._left // times) if kind == "image" else self._left // times
        return most // 4 * 3

    def take(self, source: dict[str, str], times: int) -> None:
        """Raises `InvalidRequestError` when that is too much."""
        data = source["data"]
        size = len(data) if source["type"] == "base64" else len(encode(data))
        self._left -= size * times
        if self._left < 0:
            raise InvalidRequestError(
                "messages: the content of the URLs in the request has over "
                f"{MAX_TOTAL} bytes in all, as base64"
            )


def has_urls(view: RequestView) -> bool:
    """Tells whether anything is to be fetched, by a look at every block instead of every byte."""
    for message in view.messages:
        content = message.content
        if isinstance(content, list) and _any_url(content, 1):
            return True
    return False


def _any_url(blocks: list[BlockView], depth: int) -> bool:
    for block in blocks:
        source, inner = block.source, block.content
        if source is not UNSET and isinstance(source, SourceView):
            if source.type == "url" and block.type in _ACCEPTED:
                return True
            if _any_url_within(source.content, depth):
                return True
        if inner is not UNSET and _any_url_within(inner, depth):
            return True
    return False


def _any_url_within(content: object, depth: int) -> bool:
    return depth < _MAX_DEPTH and isinstance(content, list) and _any_url(content, depth + 1)


def _spots(
    blocks: list[BlockView], trees: list[dict[str, Any]], path: str, depth: int = 1
) -> Iterator[_Spot]:
    for position, (block, tree) in enumerate(zip(blocks, trees, strict=True)):
        where = f"{path}.{position}"
        source, inner = block.source, block.content
        if isinstance(source, SourceView):
            if source.type == "url" and block.type in _ACCEPTED:
                yield _Spot(where, tree)
            elif depth < _MAX_DEPTH and isinstance(source.content, list):
                within = tree["source"]["content"]
                yield from _spots(source.content, within, f"{where}.source.content", depth + 1)
        if depth < _MAX_DEPTH and isinstance(inner, list):
            yield from _spots(inner, tree["content"], f"{where}.content", depth + 1)


def _url_of(spot: _Spot) -> str:
    url = spot.block["source"].get("url")
    if not isinstance(url, str):
        raise InvalidRequestError(f"{spot.path}.source.url: a string is required")
    return url


def _source(kind: str, fetched: Fetched, path: str) -> dict[str, str]:
    if not fetched.body:
        raise InvalidRequestError(f"{path}.source.url: could not be fetched: it is empty")
    if kind == "document" and fetched.media_type.startswith("text/"):
        text = _decoded(fetched)
        if "\0" in text:
            raise InvalidRequestError(f"{path}.source.url: could not be fetched: it is no text")
        return {"type": "text", "media_type": "text/plain", "data": text}
    data = b64encode(fetched.body).decode("ascii")
    return {"type": "base64", "media_type": fetched.media_type, "data": data}


def _decoded(fetched: Fetched) -> str:
    """Decodes the text, by the charset that its server named if that is known, else as UTF-8."""
    return fetched.body.decode(known_charset(fetched.charset) or DEFAULT, "replace")
