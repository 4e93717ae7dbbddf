"""The fetcher: one URL, its redirects, and every bound that keeps them harmless.

Rules of the file:
- A hop resolves its host once, checks every address of the answer, and connects to one that was
  checked. One forbidden address among good ones refuses the host.
- A redirect starts from scratch: URL, lists, resolution and addresses are checked again. Nothing
  of one hop is sent to the next; there are no cookies, no credentials, no referrer.
- Whatever the server does, a fetch ends within `timeout_seconds` and holds `max_bytes`.
- Nothing about a URL or its content is logged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final
from urllib.parse import urljoin

import msgspec

from .. import __version__
from ..aws.connect import Endpoint, proxy_for
from . import media
from .answer import FetchAnswer, check_head
from .base import Fetched, FetchError, NotAccessibleError, NotAllowedError, StatusError
from .dial import Dialer, Lookup, NetworkDialer, Stream, literal_address
from .fair_slots import FairSlots
from .guard import NOT_PUBLIC, Parts, check_address, check_host, check_url
from .robots import MAX_BYTES, TYPES, Robots

_CHUNK: Final = 64 * 1024
_TRIED: Final = 4  # addresses of one host that are tried
_OK: Final = 200
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))

USER_AGENT: Final = f"anthropic-bedrock-proxy/{__version__}"

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class _Wish(msgspec.Struct, frozen=True):
    """The arguments of `fetch` that are the same for every hop."""

    accept: frozenset[str]
    max_bytes: int
    key: str


class FetchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's choices about fetching.

    `allow_private` opens this machine and its private networks to every client: for tests and
    development only; `private_hosts` opens no more than those hosts. `trust_proxy` says that the
    egress proxy itself refuses private addresses.
    """

    max_bytes: int = 20 * 1024 * 1024  # of one body
    timeout_seconds: float = 20.0  # of one fetch: waiting for its turn, redirects and reading
    connect_timeout_seconds: float = 5.0  # for each address
    max_redirects: int = 3
    max_concurrent: int = 16  # fetches at a time
    allow_http: bool = False
    allow_downgrade: bool = False  # a redirect may lead from https to http, where http is allowed
    allowed_ports: tuple[int, ...] = ()  # beside the scheme's own
    allowed_hosts: tuple[str, ...] = ()  # empty: all; see guard.check_host
    blocked_hosts: tuple[str, ...] = ()
    allow_private: bool = False
    private_hosts: tuple[str, ...] = ()  # that may be in private networks
    https_proxy: str | None = None  # the egress proxy's URL
    no_proxy: str | None = None
    trust_proxy: bool = False
    ca_bundle: str | None = None  # a PEM file; None: the system's roots
    user_agent: str = USER_AGENT  # printable ASCII
    robots: bool = False  # ask the robots.txt of each site first


class WebFetcher:
    """The `Fetcher` of the web. Belongs to one event loop."""

    def __init__(
        self,
        options: FetchOptions | None = None,
        *,
        resolver: Resolver | None = None,
        dialer: Dialer | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`resolver` gives the addresses of a host and raises OSError where there are none.

        `now` tells the time in epoch seconds.
        """
        self._options = options or FetchOptions()
        self._lookup = Lookup()
        self._resolver = resolver
        self._dialer = dialer or NetworkDialer(self._options.ca_bundle)
        self._turns = FairSlots(self._options.max_concurrent)
        self._robots = Robots(self._options.user_agent) if self._options.robots else None
        self._now = now

    async def fetch(self, url: str, *, accept: frozenset[str], max_bytes: int, key: str) -> Fetched:
        """See `Fetcher`."""
        options = self._options
        wish = _Wish(accept, min(max_bytes, options.max_bytes), key)
        try:
            async with asyncio.timeout(options.timeout_seconds), self._turns.turn(key):
                return await self._follow(url, wish, self._robots)
        except TimeoutError:
            raise NotAccessibleError(
                f"it did not arrive within {options.timeout_seconds:g} seconds"
            ) from None

    def close(self) -> None:
        """Ends the threads that resolve names."""
        self._lookup.close()

    async def _follow(self, url: str, wish: _Wish, robots: Robots | None) -> Fetched:
        parts = self._check(url)
        for _ in range(self._options.max_redirects + 1):
            if robots is not None:
                rules = partial(self._follow, wish=_rules_wish(wish), robots=None)
                await robots.check(parts.origin, parts.target, rules)
            answer = await self._hop(parts, wish)
            if answer.status == _OK:
                declared = media.parse_content_type(answer.headers.get("content-type", ""))
                body = answer.body
                media_type = media.media_type_of(declared, body, wish.accept)
                return Fetched(body, media_type, parts.url, declared.charset, self._now())
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                status = answer.status
                raise StatusError(f"its server answered with status {status}", status=status)
            parts = self._redirected(parts, answer.headers["location"])
        raise NotAccessibleError(f"it redirects more than {self._options.max_redirects} times")

    def _check(self, url: str) -> Parts:
        options = self._options
        parts = check_url(url, allow_http=options.allow_http, ports=options.allowed_ports)
        check_host(parts.host, allowed=options.allowed_hosts, blocked=options.blocked_hosts)
        return parts

    def _redirected(self, parts: Parts, location: str) -> Parts:
        try:
            target = self._check(urljoin(parts.url, location))
        except NotAllowedError as error:
            raise NotAllowedError(f"it redirects, and {error.reason}") from None
        except ValueError:
            raise NotAccessibleError("it redirects to something that is no URL") from None
        downgraded = parts.scheme == "https" and target.scheme != "https"
        if downgraded and not self._options.allow_downgrade:
            raise NotAllowedError("it redirects from https to http")
        return target

    async def _hop(self, parts: Parts, wish: _Wish) -> FetchAnswer:
        """Makes one request; the body is read only where the status is 200."""
        endpoint = Endpoint(parts.host, parts.port, parts.scheme == "https")
        stream = await self._connect(endpoint, wish.key)
        answer = FetchAnswer(wish.max_bytes)
        try:
            stream.transport.write(
                _request(endpoint, parts.target, wish.accept, self._options.user_agent)
            )
            while not answer.status:
                answer.receive(await stream.reader.read(_CHUNK))
            if answer.status != _OK:
                return answer
            check_head(answer, wish.max_bytes)
            declared = media.parse_content_type(answer.headers.get("content-type", ""))
            media.check_declared(declared, wish.accept)
            while not answer.complete:
                answer.receive(await stream.reader.read(_CHUNK))
        except OSError:
            raise NotAccessibleError("the connection to its server broke") from None
        finally:
            answer.close()
            stream.transport.abort()
        return answer

    async def _connect(self, endpoint: Endpoint, key: str) -> Stream:
        options = self._options
        proxy = proxy_for(endpoint, options.https_proxy, options.no_proxy)
        if proxy is not None:
            return await self._tunnel(endpoint, proxy)
        reason = NOT_PUBLIC
        for address in (await self._addresses(endpoint, key))[:_TRIED]:
            try:
                async with asyncio.timeout(options.connect_timeout_seconds):
                    return await self._dialer.connect(endpoint, address)
            except TimeoutError:
                reason = "its host cannot be connected to in time"
            except FetchError as error:
                reason = error.reason
        raise NotAccessibleError(reason)

    async def _tunnel(self, endpoint: Endpoint, proxy: str) -> Stream:
        options = self._options
        if not options.trust_proxy:
            raise NotAccessibleError(
                "this server reaches the web through an egress proxy, and its operator does not "
                "allow fetches through it"
            )
        literal = literal_address(endpoint.host)
        if literal is not None:
            check_address(literal, allow_private=self._may_be_private(endpoint))
        try:
            async with asyncio.timeout(options.connect_timeout_seconds):
                return await self._dialer.tunnel(endpoint, proxy)
        except TimeoutError:
            raise NotAccessibleError("its host cannot be connected to in time") from None

    async def _addresses(self, endpoint: Endpoint, key: str) -> Sequence[str]:
        """Returns the addresses of a host, every one of them checked.

        A name is refused by the same class of error whether it has no address or an inner one: the
        difference would tell a client which names exist inside. An address that the client has
        spelled itself is no secret.
        """
        resolve = self._resolver or partial(self._lookup, key=key)
        try:
            addresses = await resolve(endpoint.host, endpoint.port)
        except (OSError, UnicodeError):
            raise NotAccessibleError(NOT_PUBLIC) from None
        try:
            for address in addresses:
                check_address(address, allow_private=self._may_be_private(endpoint))
        except NotAllowedError as error:
            if literal_address(endpoint.host) is not None:
                raise
            raise NotAccessibleError(error.reason) from None
        return addresses

    def _may_be_private(self, endpoint: Endpoint) -> bool:
        return self._options.allow_private or endpoint.host in self._options.private_hosts


def _rules_wish(wish: _Wish) -> _Wish:
    """Returns the wish for a robots.txt, of the same key."""
    return _Wish(TYPES, MAX_BYTES, wish.key)


def _request(endpoint: Endpoint, target: str, accept: frozenset[str], user_agent: str) -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\n"
        f"host: {endpoint.authority}\r\n"
        f"user-agent: {user_agent}\r\n"
        f"accept: {', '.join(sorted(accept))}\r\n"
        "accept-encoding: identity\r\n"
        "connection: close\r\n\r\n"
    ).encode("ascii")
