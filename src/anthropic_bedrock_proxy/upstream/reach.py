"""A look whether an endpoint is there: a request that runs, and costs, nothing."""

from __future__ import annotations

import contextlib
from typing import Final

from ..aws.connect import Endpoint
from ..aws.http import Pool, PoolOptions, Response, TransportError
from .refusals import refusal_from_transport

REACH_SECONDS: Final = 10.0  # until a look is given up; who asks waits less
_MAX_BODY_BYTES: Final = 64 * 1024
_ONE: Final = PoolOptions(
    max_connections=1, max_connecting=1, connect_timeout_seconds=REACH_SECONDS
)


class Reach:
    """Looks at one endpoint by an unsigned `GET /`, whose every answer will do.

    It has a connection of its own: a pool in which every connection is busy is not taken for an
    endpoint that is away.
    """

    def __init__(self, pool: Pool, endpoint: Endpoint, headers: str) -> None:
        """`pool` lends its way to the endpoint; `headers` are lines for every request."""
        self._way = pool
        self._pool: Pool | None = None
        self._head = (
            f"GET {endpoint.path}/ HTTP/1.1\r\nhost: {endpoint.authority}\r\n{headers}\r\n"
        ).encode("latin-1")

    async def once(self) -> Response:
        """Waits for an answer and returns its head. Raises `UpstreamRefusal`."""
        if self._pool is None:
            self._pool = self._way.apart(_ONE)
        try:
            response = await self._pool.request(self._head, b"", REACH_SECONDS)
        except TransportError as error:
            raise refusal_from_transport(error, sent=False) from error
        try:
            with contextlib.suppress(TransportError):  # it did answer
                await response.read_all(REACH_SECONDS, limit=_MAX_BODY_BYTES)
        finally:
            response.close()
        return response

    def retire(self) -> None:
        """Drops the connection."""
        if self._pool is not None:
            self._pool.retire()

    async def close(self) -> None:
        """Drops the connection, and gives up a look."""
        if self._pool is not None:
            await self._pool.close()
