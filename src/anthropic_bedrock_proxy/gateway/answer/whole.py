"""A whole answer served as a stream, for models that cannot stream what was asked."""

from __future__ import annotations

from ...aws_errors import UpstreamRefusal
from ...protocol.answer.events import Event, explode
from ...protocol.raw import MISSHAPEN, decode
from ...upstream.base import AnswerStream, Upstream
from ..conversion import Conversion


async def open_stream(upstream: Upstream, conversion: Conversion) -> AnswerStream:
    """The answer as a stream, whether the model streams it or not. Raises `UpstreamRefusal`."""
    if conversion.whole_only:
        return await whole_as_stream(upstream, conversion)
    return await upstream.stream(conversion.call, conversion.new_decoder)


async def whole_as_stream(upstream: Upstream, conversion: Conversion) -> AnswerStream:
    """Calls the model whole; its answer comes as events, all at once. Raises `UpstreamRefusal`."""
    answer = await upstream.call(conversion.call)
    try:
        events = list(explode(decode(conversion.finish(answer.body))))
    except MISSHAPEN as error:
        raise UpstreamRefusal("InternalServerException", f"not a message: {error}") from error
    return _Events(events, answer.upstream_request_id, answer.service_tier)


class _Events:
    """Events that are all there already (an `AnswerStream`)."""

    usage_estimated = False

    def __init__(
        self, events: list[Event], upstream_request_id: str | None, service_tier: str | None
    ) -> None:
        self._events: list[Event] | None = events
        self.upstream_request_id = upstream_request_id
        self.service_tier = service_tier

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ARG002, ASYNC109  # nothing to wait for
        """All events, then the end."""
        events, self._events = self._events, None
        return events

    def close(self) -> None:
        """Nothing is open."""
