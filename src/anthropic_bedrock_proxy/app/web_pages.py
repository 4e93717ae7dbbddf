"""The pages of the web fetch tool as the settings describe them: fetched, kept, read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from ..config import Settings
from ..fetch.base import Page
from ..tools.web.fetch_options import WebFetchOptions
from .url_fetcher import fetcher_options
from .web_extra import lack_of

if TYPE_CHECKING:
    from ..fetch.fetcher import FetchOptions
    from ..fetch.reading.pages import WebPages


_OFF: Final = "ENABLE_WEB_FETCH is false"


def why_no_pages(settings: Settings) -> str:
    """Returns why web fetch is not served; empty: it is."""
    return lack_of("web_fetch") if settings.web.enable_web_fetch else _OFF


def make_fetch_options(settings: Settings) -> WebFetchOptions:
    """Makes the options of the web fetch tool."""
    return WebFetchOptions(
        default_max_uses=settings.web.web_fetch_default_max_uses,
        default_max_tokens=settings.web.web_fetch_default_max_content_tokens,
    )


def page_options(settings: Settings) -> FetchOptions:
    """Makes the options of the fetcher of pages: those of all URLs of clients, but for a few.

    Pages are public texts that somebody has named, so plain http serves, too, which half of all old
    links begin with.
    """
    web = settings.web
    options = msgspec.structs.replace(
        fetcher_options(settings),
        max_bytes=web.web_fetch_max_bytes,
        timeout_seconds=web.web_fetch_timeout_seconds,
        allow_http=True,
        allow_downgrade=True,
        robots=web.web_fetch_robots,
    )
    if web.web_fetch_user_agent is None:
        return options
    return msgspec.structs.replace(options, user_agent=web.web_fetch_user_agent)


def make_pages(settings: Settings) -> WebPages:
    """Makes the pages of one worker. Belongs to its loop."""
    from ..fetch.cache import CachedFetcher  # noqa: PLC0415  # most never need it
    from ..fetch.fetcher import WebFetcher  # noqa: PLC0415
    from ..fetch.reading.pages import WebPages  # noqa: PLC0415
    from ..fetch.reading.reader import PageReader, reader_environ  # noqa: PLC0415

    fetcher = CachedFetcher(
        WebFetcher(page_options(settings)),
        content_seconds=settings.web.web_fetch_cache_seconds,
    )
    return WebPages(
        fetcher,
        PageReader(reader_environ(os.environ)),
        max_bytes=settings.web.web_fetch_max_bytes,
    )


class OnDemandPages:
    """A `Pages` that is built at its first page: TLS, its roots and a process cost memory.

    `enabled` tells whether there are pages at all.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pages: WebPages | None = None
        self.enabled = not why_no_pages(settings)

    async def read(self, url: str, *, key: str, fresh: bool = False) -> Page:
        """Reads a page as `Pages` says, with what is made at the first call."""
        if self._pages is None:
            self._pages = make_pages(self._settings)
        return await self._pages.read(url, key=key, fresh=fresh)

    async def close(self) -> None:
        """Ends what was built."""
        if self._pages is not None:
            await self._pages.close()
