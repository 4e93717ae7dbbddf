"""The seam to whatever runs the models: one call in, an answer or a refusal out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from ..aws_errors import UpstreamRefusal
from ..protocol.answer.events import Event
from ..timeline import Timeline


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one call for a client that could be served elsewhere: attempts and seconds."""

    max_attempts: int = 1
    first_byte_seconds: float = 300.0


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """One model call, ready for the wire."""

    # invoke | invoke-with-response-stream | converse | converse-stream | count-tokens, and on the
    # Messages endpoints messages | messages-stream | mantle-messages | mantle-messages-stream |
    # mantle-count-tokens
    operation: str
    bedrock_model_id: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()  # lower-case names, signed with the rest
    deadlines: Deadlines | None = None  # None: as the upstream is configured
    timeline: Timeline = msgspec.field(default_factory=Timeline)  # where its requests are noted


class ModelAnswer(msgspec.Struct, frozen=True):
    """A whole answer with HTTP status 200."""

    body: bytes
    upstream_request_id: str | None = None  # printable ASCII, as clients are told it
    service_tier: str | None = None  # the one that served it, if Bedrock said so


class StreamDecoder(Protocol):
    """Sans-IO decoder of one streamed answer: chunks in, Anthropic events out."""

    failure: UpstreamRefusal | None  # set once the stream is broken; nothing comes after it
    finished: bool  # the last event has been decoded
    usage_estimated: bool  # the model did not tell its usage

    def receive(self, chunk: bytes) -> list[Event]:
        """Returns the events completed by `chunk`; look at `failure` once they are delivered."""
        ...

    def end(self) -> None:
        """Takes note that the bytes have ended; sets `failure` if that was too early.

        Events that were held back until now come with the next `receive(b"")`.
        """
        ...


class AnswerStream(Protocol):
    """A streamed answer whose first events are here. Always `close()` it."""

    upstream_request_id: str | None
    service_tier: str | None

    @property
    def usage_estimated(self) -> bool:
        """Tells, at the end, whether the usage told is an estimate."""
        ...

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ASYNC109  # a deadline of the wire, not of the task
        """Returns the next events; [] after `timeout` seconds of silence; None at the clean end.

        Raises `UpstreamRefusal` when the stream breaks.
        """
        ...

    def close(self) -> None:
        """Stops the model at once if it has not finished. Idempotent."""
        ...


class CredentialsState(msgspec.Struct, frozen=True):
    """The credentials of an upstream: when they expire (epoch seconds), whether AWS refused them.

    `refused` is about the last call that told; what is not known to expire has no `expires_at`.
    """

    expires_at: float | None = None
    refused: bool = False


class Upstream(Protocol):
    """The port of the gateway to models; it keeps deadlines and retries before the first byte."""

    async def call(self, call: ModelCall) -> ModelAnswer:
        """Returns a whole answer. Raises `UpstreamRefusal`."""
        ...

    async def stream(
        self, call: ModelCall, new_decoder: Callable[[], StreamDecoder]
    ) -> AnswerStream:
        """Returns a stream of which at least one event is decoded. Raises `UpstreamRefusal`.

        `new_decoder` makes a decoder for each attempt.
        """
        ...

    async def reach(self) -> None:
        """Waits for any answer of the endpoint to a request that runs, and costs, nothing.

        Raises `UpstreamRefusal` if none comes.
        """
        ...

    async def look_at_credentials(self) -> CredentialsState:
        """Waits for what calls are signed with. Raises `UpstreamRefusal` if there is nothing."""
        ...

    def retire(self) -> None:
        """Closes idle connections now, others when their answers have ended; no call follows."""
        ...

    async def close(self) -> None:
        """Closes every connection."""
        ...
