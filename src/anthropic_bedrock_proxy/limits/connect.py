"""LIMITS_URL to a client of redis-py: one server, Sentinel or a cluster, with TLS or without.

    redis://USER:PASSWORD@HOST:PORT/DB
    redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB
    redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT

`rediss` instead of `redis` means TLS. What follows a `?` are redis-py's own parameters of a URL,
and three of ours: `prefix`, `sentinel_username` and `sentinel_password`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

_Options = dict[str, Any]
_SENTINEL_PORT: Final = 26379
_PREFIX = re.compile(r"[A-Za-z0-9_.-]+")
# Of several hosts some may be gone without a word, and the others have to be asked in time.
_ONE_OF_SEVERAL: Final[_Options] = {"socket_connect_timeout": 0.3}
_A_SENTINEL: Final[_Options] = {**_ONE_OF_SEVERAL, "socket_timeout": 0.3}


class RedisServer:
    """The server or cluster of a URL; it connects when first asked, and again after `leave`."""

    def __init__(
        self, prefix: str, client: Redis | RedisCluster, sentinels: tuple[Redis, ...] = ()
    ) -> None:
        self.prefix = prefix  # of every key
        self.execute = cast("Callable[..., Awaitable[object]]", client.execute_command)
        self._clients = (client, *sentinels)

    async def leave(self) -> None:
        """Closes every connection: the next goes to whom DNS, Sentinel or the cluster names."""
        for client in self._clients:
            await client.aclose()


def server_from_url(url: str) -> RedisServer:
    """Returns the server that `url` names, without connecting to it.

    Raises `ValueError` for a URL that is none; the message may repeat parts of it.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    userinfo, at, hosts = parts.netloc.rpartition("@")
    first, *others = hosts.split(",")
    service, path = "", parts.path
    if kind == "sentinel":
        service, _, path = path[1:].partition("/")
    options = _options(
        parts._replace(scheme=scheme, netloc=f"{userinfo}{at}{first}", path=path).geturl()
    )
    prefix = options.pop("prefix", "abp")
    if parts.fragment or not _PREFIX.fullmatch(prefix) or kind not in {"", "sentinel", "cluster"}:
        raise ValueError(url)
    try:
        if kind == "sentinel" and service:
            return _by_sentinel(f"{prefix}:", service, [first, *others], options)
        if kind == "cluster":
            # A call has keys of several owners; the braces put all of them into one slot.
            return _cluster(f"{{{prefix}}}:", [first, *others], options)
        if kind or others:
            raise ValueError(url)
        return RedisServer(f"{prefix}:", _checked(Redis(**options)))
    except (TypeError, RedisError, RedisClusterException) as error:  # no such parameter
        raise ValueError(url) from error


def _options(url: str) -> _Options:
    """Returns what redis-py reads from a URL of one host, as parameters of its clients."""
    # In RESP3 redis-py 8 expects to be told of maintenance, and uses a connection again that the
    # server has closed meanwhile (ConnectionPool.ensure_connection).
    options: _Options = {"retry": Retry(NoBackoff(), 0), "protocol": 2, **parse_url(url)}
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return options


def _by_sentinel(prefix: str, service: str, hosts: list[str], options: _Options) -> RedisServer:
    shared = {
        name: options[name] for name in options if name.startswith(("ssl", "retry", "protocol"))
    }
    asking = _A_SENTINEL | shared
    for name in ("username", "password"):
        asking[name] = options.pop(f"sentinel_{name}", None)
    del options["host"]
    options.pop("port", None)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_address(host, _SENTINEL_PORT) for host in hosts],
        sentinel_kwargs=asking,
        **_ONE_OF_SEVERAL | options,
    )
    client = _checked(sentinel.master_for(service))
    return RedisServer(prefix, client, tuple(sentinel.sentinels))


def _cluster(prefix: str, hosts: list[str], options: _Options) -> RedisServer:
    del options["host"]
    port = options.pop("port", 6379)
    client = RedisCluster(
        startup_nodes=[ClusterNode(*_address(host, port)) for host in hosts],
        # The names of the URL stay the ones to ask: nodes that were found come and go.
        dynamic_startup_nodes=False,
        require_full_coverage=False,  # only one slot matters
        **_ONE_OF_SEVERAL | options,
    )
    return RedisServer(prefix, client)


def _address(host: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise ValueError(host)
    return parts.hostname, parts.port or port


def _checked(client: Redis) -> Redis:
    """Returns the client. Raises `TypeError` for parameters that no connection takes."""
    client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    return client
