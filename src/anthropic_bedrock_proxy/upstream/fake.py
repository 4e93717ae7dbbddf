"""A scripted upstream in memory: the fake beside the real one, held to the same suite."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic

from ..aws_errors import CUT_SHORT, UpstreamRefusal
from ..protocol.answer.events import Event
from ..timeline import CANCELLED, OK, UpstreamRequest
from .base import AnswerStream, CredentialsState, ModelAnswer, ModelCall, StreamDecoder
from .provider import DEFAULT_PROVIDER

Step = bytes | UpstreamRefusal | BaseException | list[bytes | UpstreamRefusal | BaseException]


class FakeUpstream:
    """An `Upstream` that answers each call with the next step of its script.

    A step is the whole body, a refusal (or any exception) to raise, or, for a stream, the list of
    its chunks; b"" in that list is a silence, an exception in it breaks the stream there.
    """

    def __init__(self, script: Iterable[Step] = ()) -> None:
        self.script = deque(script)
        self.calls: list[ModelCall] = []
        self.streams: list[FakeStream] = []
        self.service_tier: str | None = None  # the tier that every answer names
        self.unreachable: UpstreamRefusal | None = None
        self.credentials: CredentialsState | UpstreamRefusal = CredentialsState()

    async def call(self, call: ModelCall) -> ModelAnswer:
        """Returns the next step as a whole answer."""
        step, noted = self._next(call)
        if not isinstance(step, bytes):
            raise TypeError("the script has a stream where a whole answer was asked for")
        noted.end(monotonic(), OK)
        return ModelAnswer(step, noted.upstream_request_id, self.service_tier)

    async def stream(
        self, call: ModelCall, new_decoder: Callable[[], StreamDecoder]
    ) -> AnswerStream:
        """Returns the next step as a stream, with its first events decoded."""
        step, noted = self._next(call)
        if not isinstance(step, list):
            raise TypeError("the script has a whole answer where a stream was asked for")
        stream = FakeStream(step, new_decoder(), noted)
        stream.service_tier = self.service_tier
        self.streams.append(stream)
        while not (events := await stream.read(0)):
            if events is None:
                raise UpstreamRefusal(CUT_SHORT, "The stream was empty.")
        noted.first = monotonic()
        stream.first = events
        return stream

    async def reach(self) -> None:
        """Raises `unreachable`, if it is set."""
        if self.unreachable is not None:
            raise self.unreachable

    async def look_at_credentials(self) -> CredentialsState:
        """Returns `credentials`, or raises it."""
        if isinstance(self.credentials, UpstreamRefusal):
            raise self.credentials
        return self.credentials

    def retire(self) -> None:
        """Does nothing."""

    async def close(self) -> None:
        """Does nothing: nothing is open."""

    def _next(self, call: ModelCall) -> tuple[Step, UpstreamRequest]:
        """Takes the next step; notes the request as a real upstream does."""
        self.calls.append(call)
        step, now = self.script.popleft(), monotonic()
        noted = UpstreamRequest(
            DEFAULT_PROVIDER, call.bedrock_model_id, call.operation, call.timeline.step, now, now
        )
        call.timeline.upstream.append(noted)
        if isinstance(step, BaseException):
            noted.fail(monotonic(), step)
            raise step
        noted.first, noted.upstream_request_id = now, "fake-request"
        return step, noted


class FakeStream:
    """A scripted stream; `closed` tells whether the reader closed it."""

    upstream_request_id: str | None = "fake-request"
    service_tier: str | None = None

    def __init__(
        self,
        chunks: Iterable[bytes | UpstreamRefusal | BaseException],
        decoder: StreamDecoder,
        noted: UpstreamRequest | None = None,
    ) -> None:
        """`noted` gets the moment of the end."""
        self._noted = noted
        self._chunks = deque(chunks)
        self._decoder = decoder
        self.first: list[Event] | None = None
        self.closed = False

    @property
    def usage_estimated(self) -> bool:
        """Tells whether the decoder estimated the usage."""
        return self._decoder.usage_estimated

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ASYNC109  # silences are scripted
        """Returns the events of the next chunk."""
        try:
            return await self._read(timeout)
        except UpstreamRefusal as refusal:
            if self._noted is not None:
                self._noted.fail(monotonic(), refusal)
            raise

    async def _read(self, _: float) -> list[Event] | None:
        if self.first is not None:
            events, self.first = self.first, None
            return events
        while True:
            if self._decoder.failure is not None:
                raise self._decoder.failure
            if not self._chunks:
                self._decoder.end()
                if self._decoder.failure is None:
                    return self._decoder.receive(b"") or None
                continue
            chunk = self._chunks.popleft()
            if isinstance(chunk, BaseException):
                raise chunk
            events = self._decoder.receive(chunk) if chunk else []
            if events or not chunk:
                return events

    def close(self) -> None:
        """Notes that the reader closed the stream."""
        if self._noted is not None:
            self._noted.end(monotonic(), OK if self._decoder.finished else CANCELLED)
        self.closed = True
