"""The fetcher of clients' URLs as the settings describe it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config import Settings
from ..fetch.base import Fetched

if TYPE_CHECKING:
    from ..fetch.cache import CachedFetcher
    from ..fetch.fetcher import FetchOptions


def fetcher_options(settings: Settings) -> FetchOptions:
    """Makes the options of a fetcher of clients' URLs."""
    from ..fetch.fetcher import FetchOptions  # noqa: PLC0415  # seldom needed

    fetch, aws = settings.fetch, settings.aws
    return FetchOptions(
        max_bytes=fetch.max_bytes,
        timeout_seconds=fetch.timeout_seconds,
        connect_timeout_seconds=fetch.connect_timeout_seconds,
        max_redirects=fetch.max_redirects,
        max_concurrent=fetch.max_concurrent,
        allow_http=fetch.allow_http,
        allowed_ports=tuple(int(port) for port in fetch.allowed_ports),
        allowed_hosts=fetch.allowed_hosts,
        blocked_hosts=fetch.blocked_hosts,
        allow_private=fetch.allow_private,
        https_proxy=aws.https_proxy,
        no_proxy=aws.no_proxy,
        trust_proxy=fetch.trust_proxy,
        ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
    )


def make_fetcher(settings: Settings) -> CachedFetcher:
    """Makes the fetcher of the URLs in requests. Belongs to one loop."""
    from ..fetch.cache import CachedFetcher  # noqa: PLC0415  # seldom needed
    from ..fetch.fetcher import WebFetcher  # noqa: PLC0415  # seldom needed

    return CachedFetcher(WebFetcher(fetcher_options(settings)))


class OnDemandFetcher:
    """A `Fetcher` that is built at its first fetch: TLS and its roots cost memory."""

    def __init__(self, new_fetcher: Callable[[], CachedFetcher]) -> None:
        self._new_fetcher = new_fetcher
        self._fetcher: CachedFetcher | None = None

    async def fetch(self, url: str, *, accept: frozenset[str], max_bytes: int, key: str) -> Fetched:
        """Fetches as `Fetcher` says, with one that is made at the first call."""
        if self._fetcher is None:
            self._fetcher = self._new_fetcher()
        return await self._fetcher.fetch(url, accept=accept, max_bytes=max_bytes, key=key)

    def close(self) -> None:
        """Lets go of what was built."""
        if self._fetcher is not None:
            self._fetcher.close()
