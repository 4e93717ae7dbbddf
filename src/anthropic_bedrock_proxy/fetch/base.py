"""The seams to whatever fetches URLs for clients: a URL in, bounded bytes or a page out."""

from __future__ import annotations

from typing import Protocol

import msgspec


class FetchError(Exception):
    """A fetch that failed.

    `reason` ends a sentence that a client reads ("could not be fetched: ..."). It holds nothing
    that the client may not know: no address, no name of another host, nothing of the content.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotAllowedError(FetchError):
    """The URL itself is refused: by its form, its port, its address, or the operator's lists."""


class NotAccessibleError(FetchError):
    """The server gave no content, or there is none that may be reached."""


class StatusError(NotAccessibleError):
    """The server answered with another status than 200, or a redirect that leads nowhere."""

    def __init__(self, reason: str, *, status: int) -> None:
        super().__init__(reason)
        self.status = status


class WrongTypeError(FetchError):
    """The content is of a media type that was not asked for, or not what it is called."""


class UnreadableError(FetchError):
    """The content has come, and could not be read: by a fault of its own, or of this server's."""


class TooLargeError(FetchError):
    """The body is over the limit; it was not read to its end."""


class BusyError(FetchError):
    """Too much is being fetched for this key already; later there may be room."""


class Fetched(msgspec.Struct, frozen=True):
    """The content of a URL, after its redirects."""

    body: bytes
    media_type: str  # lower case, without parameters
    url: str  # the last one, after redirects
    charset: str | None = None  # what the server called the encoding of a text
    retrieved_at: float = 0.0  # epoch seconds


class Page(msgspec.Struct, frozen=True):
    """A page as a model reads it: `text`, in Markdown if it was HTML, or the bytes of a PDF."""

    url: str  # the last one, after redirects
    retrieved_at: float  # epoch seconds
    title: str | None = None  # one line
    text: str | None = None
    pdf: bytes | None = None


class Fetcher(Protocol):
    """The port of fetching: a client's URL in, its content out."""

    async def fetch(self, url: str, *, accept: frozenset[str], max_bytes: int, key: str) -> Fetched:
        """Fetches the content of `url`.

        `accept` are the media types to take, each `type/subtype` or `type/*`; `max_bytes` bounds
        the body; `key` is the API key's id: keys get equal shares. Raises `FetchError`, and
        nothing else whatever `url` is.
        """
        ...


class Pages(Protocol):
    """The port of reading: a URL in, its page out."""

    async def read(self, url: str, *, key: str, fresh: bool = False) -> Page:
        """Fetches a page and reads it.

        `key` is the API key's id. With `fresh` nothing is taken from a cache. Raises `FetchError`,
        of the class that says what is in the way, and nothing else whatever `url` is.
        """
        ...


class NoFetcher:
    """A `Fetcher` for operators who want none."""

    async def fetch(
        self,
        url: str,  # noqa: ARG002  # the port's
        *,
        accept: frozenset[str],  # noqa: ARG002
        max_bytes: int,  # noqa: ARG002
        key: str,  # noqa: ARG002
    ) -> Fetched:
        """Raises `FetchError`, always."""
        raise NotAllowedError("the operator of this proxy has switched URLs off; send it as base64")
