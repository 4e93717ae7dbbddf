"""The seam to whatever runs the models: one call in, an answer or a refusal out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from ..errors import UpstreamRefusal
from ..protocol.events import Event


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One model call, ready for the wire."""

    operation: str  # invoke | invoke-with-response-stream | count-tokens
    bedrock_model_id: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()  # lower-case names, signed with the rest


class Answer(msgspec.Struct, frozen=True):
    """A whole answer with HTTP status 200."""

    body: bytes
    upstream_request_id: str | None = None


class StreamDecoder(Protocol):
    """Sans-IO decoder of one streamed answer: chunks in, Anthropic events out."""

    failure: UpstreamRefusal | None  # set once the stream is broken; nothing comes after it
    finished: bool  # the last event has been decoded

    def receive(self, chunk: bytes) -> list[Event]:
        """Events completed by `chunk`; look at `failure` once they are delivered."""
        ...

    def end(self) -> None:
        """The bytes ended; sets `failure` if that was too early."""
        ...


class AnswerStream(Protocol):
    """A streamed answer whose first events are here. Always `close()` it."""

    upstream_request_id: str | None

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ASYNC109  # a deadline of the wire, not of the task
        """The next events; [] after `timeout` seconds of silence; None at the clean end.

        Raises `UpstreamRefusal` when the stream breaks.
        """
        ...

    def close(self) -> None:
        """Stops the model at once if it has not finished. Idempotent."""
        ...


class Upstream(Protocol):
    """What the gateway calls. Retries before the first byte and deadlines are its business."""

    async def call(self, call: Call) -> Answer:
        """A whole answer. Raises `UpstreamRefusal`."""
        ...

    async def stream(self, call: Call, new_decoder: Callable[[], StreamDecoder]) -> AnswerStream:
        """A stream of which at least one event has been decoded. Raises `UpstreamRefusal`.

        `new_decoder` makes a decoder for each attempt.
        """
        ...

    async def close(self) -> None:
        """Lets go of every connection."""
        ...
