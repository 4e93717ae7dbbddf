"""A streamed answer of Bedrock: bytes from the connection, events from the decoder.

A stream is handed out when its first events are here, so that a refusal that comes as its first
frame can still be tried again. How it may end:

    the last event has been decoded     None, whatever becomes of the connection behind it
    bytes end before that               the decoder's failure, or what it held back as last events
    a frame is an exception             its failure, behind the events before it
    the connection is cut               Unreachable, if the decoder misses something
    silence, beyond the time to wait    [], and the stream goes on
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from ..aws.http import Response, TransportError, TransportTimeoutError
from ..aws_errors import CUT_SHORT, UpstreamRefusal
from ..protocol.answer.events import Event
from ..timeline import CANCELLED, OK, UpstreamRequest
from .base import StreamDecoder
from .refusals import copy_of, refusal_from_transport

_LINGER_SECONDS: Final = 2.0


class BedrockStream:
    """Open streamed answer (an `AnswerStream`)."""

    def __init__(self, response: Response, decoder: StreamDecoder, noted: UpstreamRequest) -> None:
        """`noted` gets the moments of the first event and of the end."""
        self._response = response
        self._decoder = decoder
        self._first: list[Event] = []
        self.upstream_request_id = noted.upstream_request_id
        self._noted = noted
        self.service_tier = service_tier_of(response)

    @property
    def usage_estimated(self) -> bool:
        """Tells, at the end, whether the usage told is an estimate."""
        return self._decoder.usage_estimated

    async def begin(self, deadline: float) -> None:
        """Waits for the first events until a moment of the monotonic clock.

        Raises `UpstreamRefusal`.
        """
        while not self._first:
            left = deadline - monotonic()
            if left <= 0:
                late = TransportTimeoutError("the model sent no event in time")
                raise self._noted_end(refusal_from_transport(late, sent=True))
            events = await self.read(left)
            if events is None:  # pragma: no cover  # a decoder that ends without an event fails
                raise UpstreamRefusal(CUT_SHORT, "The stream was empty.")
            self._first = events
        self._noted.first = monotonic()

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ASYNC109  # a deadline of the wire
        """Returns the next events: see `AnswerStream.read`."""
        if self._first:
            events, self._first = self._first, []
            return events
        decoder = self._decoder
        deadline = monotonic() + timeout
        left = timeout
        while decoder.failure is None:
            try:
                chunk = await self._response.read(left)
            except TransportError as error:
                if decoder.finished or isinstance(error, TransportTimeoutError):
                    if decoder.finished:
                        return None
                    raise self._noted_end(refusal_from_transport(error, sent=True)) from error
                decoder.end()
                if decoder.failure is not None:
                    raise self._noted_end(refusal_from_transport(error, sent=True)) from error
                return decoder.receive(b"") or None
            if chunk is None:
                decoder.end()
                if decoder.failure is None:
                    return decoder.receive(b"") or None
                decoder.failure.sent = True
                break
            events = decoder.receive(chunk) if chunk else []
            if events or not chunk:
                return events
            left = deadline - monotonic()  # bytes without an event do not prolong the wait
            if left <= 0 and decoder.failure is None:
                return []
        raise self._noted_end(copy_of(decoder.failure))

    def close(self) -> None:
        """Stops the model at once if it has not finished. Idempotent.

        If that was not noted to have failed, nobody waits for it any more.
        """
        self._noted.end(monotonic(), OK if self._decoder.finished else CANCELLED)
        if self._decoder.finished:
            # Only the end of the HTTP body is missing: read it, so the connection can be reused.
            self._response.finish(_LINGER_SECONDS)
        else:
            self._response.close()

    def _noted_end(self, refusal: UpstreamRefusal) -> UpstreamRefusal:
        self._noted.fail(monotonic(), refusal)
        return refusal


def request_id_of(response: Response) -> str | None:
    """Returns AWS's id of the request, if it is text that clients may be told."""
    value = response.headers.get(b"x-amzn-requestid", b"").decode("latin-1")
    return value if value and value.isascii() and value.isprintable() else None


def service_tier_of(response: Response) -> str | None:
    """Returns the service tier that answered, if Bedrock said so."""
    value = response.headers.get(b"x-amzn-bedrock-service-tier")
    return value.decode("latin-1") if value else None
