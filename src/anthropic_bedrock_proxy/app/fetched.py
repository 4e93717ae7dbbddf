"""Texts that the operator wants fetched: by https alone, and bounded in size and time."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from ..config import Settings
from ..fetch.base import FetchError

_USER: Final = re.compile(r"^([A-Za-z0-9+.-]+://)[^/]*@")
_KINDS: Final = frozenset(("application/json", "application/octet-stream", "text/*"))


class SyncError(Exception):
    """A source that gives nothing to take over; the message says why. Nothing was changed."""


async def fetch_text(
    settings: Settings, url: str, *, max_bytes: int, timeout_seconds: float
) -> str:
    """Fetches a text. Raises `SyncError`.

    The URL is the operator's own word, so it may lead into a private network, and through the
    egress proxy, which those of clients may not. Where it redirects to is its server's word, which
    opens no private network.
    """
    from ..fetch.fetcher import FetchOptions, WebFetcher  # noqa: PLC0415  # most never need it

    aws = settings.aws
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SyncError(f"{shown_url(url)} is no URL: {error}") from error
    fetcher = WebFetcher(
        FetchOptions(
            max_bytes=max_bytes,
            timeout_seconds=timeout_seconds,
            allowed_ports=() if port is None else (port,),
            private_hosts=((parts.hostname or "").removesuffix("."),),
            https_proxy=aws.https_proxy,
            no_proxy=aws.no_proxy,
            trust_proxy=True,
            ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
        )
    )
    try:
        found = await fetcher.fetch(url, accept=_KINDS, max_bytes=max_bytes, key="operator")
    except FetchError as error:
        raise SyncError(f"{shown_url(url)} cannot be fetched: {error.reason}") from error
    finally:
        fetcher.close()
    return found.body.decode("utf-8", "replace")


def shown_url(url: str) -> str:
    """Returns a URL without its user, query and fragment, in which a secret may stand."""
    if "://" not in url:
        return url[:200]  # a file
    return _USER.sub(r"\1", re.split(r"[?#]", url, maxsplit=1)[0])[:200]
