"""Pages for models: fetched by the guarded fetcher, read by the process for that."""

from __future__ import annotations

from typing import Final, Protocol

from ..base import Fetched, NotAccessibleError, Page, WrongTypeError
from ..media import sniff
from .frames import ReadingAnswer

PDF: Final = "application/pdf"
ACCEPTED: Final = frozenset(
    (
        "text/*",
        PDF,
        "application/xhtml+xml",
        "application/xml",
        "application/rss+xml",
        "application/atom+xml",
        "application/json",
        "application/ld+json",
        "application/javascript",
        "application/x-yaml",
        "application/yaml",
    )
)


class _FreshFetcher(Protocol):
    """A `Fetcher` with a memory, which can be told to fetch anew."""

    async def fetch(
        self, url: str, *, accept: frozenset[str], max_bytes: int, key: str, fresh: bool = False
    ) -> Fetched: ...

    def close(self) -> None: ...


class _Reader(Protocol):
    async def read(self, fetched: Fetched, key: str) -> ReadingAnswer: ...

    async def close(self) -> None: ...


class WebPages:
    """The `Pages` of the web. Belongs to one event loop."""

    def __init__(self, fetcher: _FreshFetcher, reader: _Reader, *, max_bytes: int) -> None:
        """`max_bytes` bounds the body of one page."""
        self._fetcher = fetcher
        self._reader = reader
        self._max_bytes = max_bytes

    async def read(self, url: str, *, key: str, fresh: bool = False) -> Page:
        """See `Pages`."""
        fetched = await self._fetcher.fetch(
            url, accept=ACCEPTED, max_bytes=self._max_bytes, key=key, fresh=fresh
        )
        if not fetched.body:
            raise NotAccessibleError("it is empty")
        if fetched.media_type == PDF:
            if sniff(fetched.body) != PDF:  # Bedrock refuses the whole request for such a document
                raise WrongTypeError("the server calls it application/pdf, but it is none")
            return Page(fetched.url, fetched.retrieved_at, pdf=fetched.body)
        read = await self._reader.read(fetched, key)
        return Page(fetched.url, fetched.retrieved_at, title=read.title, text=read.text or "")

    async def close(self) -> None:
        """Ends the process, and what the fetcher has begun."""
        self._fetcher.close()
        await self._reader.close()
