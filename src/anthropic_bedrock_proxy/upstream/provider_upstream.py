"""One account in one region: the runtime endpoint, and bedrock-mantle beside it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ..aws_errors import NO_ENDPOINT, UpstreamRefusal
from .base import AnswerStream, CredentialsState, ModelAnswer, ModelCall, StreamDecoder, Upstream

_MANTLE = "mantle-"


class ProviderUpstream:
    """An `Upstream` that sends each call to the endpoint that serves it."""

    def __init__(self, runtime: Upstream, new_mantle: Callable[[], Upstream] | None) -> None:
        """`new_mantle` is called at the first need; None: this provider has no bedrock-mantle."""
        self._runtime = runtime
        self._new_mantle = new_mantle
        self._mantle: Upstream | None = None

    def call(self, call: ModelCall) -> Coroutine[Any, Any, ModelAnswer]:
        """Returns a whole answer. Raises `UpstreamRefusal`."""
        return self._endpoint(call).call(call)

    def stream(
        self, call: ModelCall, new_decoder: Callable[[], StreamDecoder]
    ) -> Coroutine[Any, Any, AnswerStream]:
        """Returns a stream with its first events decoded. Raises `UpstreamRefusal`."""
        return self._endpoint(call).stream(call, new_decoder)

    def reach(self) -> Coroutine[Any, Any, None]:
        """See `Upstream.reach`: of the runtime endpoint."""
        return self._runtime.reach()

    def look_at_credentials(self) -> Coroutine[Any, Any, CredentialsState]:
        """See `Upstream.look_at_credentials`: both endpoints have the same."""
        return self._runtime.look_at_credentials()

    def retire(self) -> None:
        """See `Upstream.retire`."""
        self._runtime.retire()
        if self._mantle is not None:
            self._mantle.retire()

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._runtime.close()
        if self._mantle is not None:
            await self._mantle.close()

    def _endpoint(self, call: ModelCall) -> Upstream:
        if not call.operation.startswith(_MANTLE):
            return self._runtime
        if self._mantle is None:
            if self._new_mantle is None:
                raise UpstreamRefusal(
                    NO_ENDPOINT,
                    "No bedrock-mantle endpoint is configured: set BEDROCK_MANTLE_ENDPOINT_URL",
                )
            self._mantle = self._new_mantle()
        return self._mantle
