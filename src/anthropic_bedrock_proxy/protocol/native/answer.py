"""Answers of Bedrock's native dialects -> Anthropic: whole messages, frames, server-sent events.

The bytes are Anthropic's own already. What changes: the model's name becomes the one the client
asked for, and Amazon's keys (`amazon-bedrock-*`) and padding disappear; where one of them says that
a guardrail intervened, the answer ends as a refusal. Everything else is forwarded untouched.
Source: Bedrock service model, ResponseStream; event order as Anthropic documents it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ...aws_errors import CUT_SHORT, NOT_AN_ANSWER, UpstreamRefusal
from ..answer.bedrock_words import GUARDRAIL, refusal_ending
from ..answer.events import Event
from ..aws.eventstream import Frame, FrameDecoder, FrameError
from ..aws.exceptions import CORRUPT, refusal_of
from .sse import SSEDecoder

_AMAZON: Final = b'"amazon-bedrock-'
_STOP: Final[Event] = (b"message_stop", b'{"type":"message_stop"}')
_TYPE_FIRST: Final = b'{"type":"'
_MODEL_FIRST: Final = b'{"model":"'
_A_MESSAGE: Final = b'"type":"message"'
_ACTION: Final = "amazon-bedrock-guardrailAction"
_INTERVENED: Final = b'"INTERVENED"'

_encode = msgspec.json.Encoder().encode


class _Chunk(msgspec.Struct, gc=False):
    event: bytes = msgspec.field(name="bytes")  # base64 on the wire; msgspec decodes it


class _Typed(msgspec.Struct, gc=False):
    type: str


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any: Any = msgspec.json.Decoder().decode


def finish_message(body: bytes, requested_model: str) -> bytes:
    """Edits a whole answer for the client. Raises `UpstreamRefusal` if it is not a message."""
    if body.startswith(_MODEL_FIRST) and _AMAZON not in body and _A_MESSAGE in body:
        # Bedrock's own order: only the name between the first quotes has to change.
        end = body.find(b'"', len(_MODEL_FIRST))
        if body[len(_MODEL_FIRST) : end] == requested_model.encode():
            return body
        return b'{"model":' + _encode(requested_model) + body[end + 1 :]
    try:
        fields = _decode_fields(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpstreamRefusal(NOT_AN_ANSWER, f"not a message: {error}") from error
    if bytes(fields.get("type", b"")) != b'"message"':
        raise UpstreamRefusal(NOT_AN_ANSWER, "The model's answer is not a message.")
    message: dict[str, Any] = {**_clean(fields, requested_model)}
    if _intervened(fields):
        message |= refusal_ending(GUARDRAIL)
    return _encode(message)


def _intervened(fields: dict[str, Raw]) -> bool:
    return bytes(fields.get(_ACTION, b"")) == _INTERVENED


def _clean(fields: dict[str, Raw], requested_model: str) -> dict[str, Raw]:
    kept = {name: raw for name, raw in fields.items() if not name.startswith("amazon-bedrock-")}
    kept["model"] = Raw(_encode(requested_model))
    return kept


class NativeStream:
    """The base of decoders for Bedrock's native dialects (a `StreamDecoder`)."""

    usage_estimated = False  # Claude always tells its usage, in message_delta

    def __init__(self, requested_model: str) -> None:
        self._requested_model = requested_model
        self._started = False
        self.finished = False
        self.failure: UpstreamRefusal | None = None

    def receive(self, chunk: bytes) -> list[Event]:
        """Events completed by `chunk`; `failure` is set when the stream broke after them."""
        events: list[Event] = []
        try:
            self._decode(chunk, events)
        except UpstreamRefusal as refusal:
            self.failure = refusal.with_traceback(None)  # docs/decisions/0020
        except CORRUPT as error:
            self.failure = UpstreamRefusal(CUT_SHORT, f"The model's stream is corrupt: {error}")
        return events

    def end(self) -> None:
        """Takes note that the bytes have ended; sets `failure` unless the message was whole."""
        if not self.finished and self.failure is None:
            self.failure = UpstreamRefusal(CUT_SHORT, "The model's stream was cut before its end.")

    def _decode(self, chunk: bytes, events: list[Event]) -> None:
        """Appends the events that `chunk` completes to `events`.

        Raises one of `CORRUPT`, or `UpstreamRefusal`, for bytes that are no such stream.
        """
        raise NotImplementedError  # pragma: no cover

    def _edited(self, name: bytes, data: bytes) -> Event | None:
        """Returns an event in the form for the client; None for one that it must not see."""
        if name == b"content_block_delta" and self._started:
            return name, (data if b"\n" not in data else _encode(_decode_any(data)))
        if name == b"error":
            error = _decode_any(data).get("error") or {}
            raise UpstreamRefusal(str(error.get("type", "api_error")), str(error.get("message")))
        if name == b"message_start":
            self._started = True
            fields = _decode_fields(data)
            message = _clean(_decode_fields(fields["message"]), self._requested_model)
            return name, _encode({**fields, "message": message})
        if not self._started:
            if name == b"ping":
                return None  # clients may not see anything before message_start
            raise UpstreamRefusal(NOT_AN_ANSWER, "The stream did not begin a message.")
        if name == b"message_stop":
            self.finished = True
            return _STOP
        if _AMAZON in data:
            fields = _decode_fields(data)
            data = _encode({k: v for k, v in fields.items() if not k.startswith("amazon-bedrock-")})
        return name, (data if b"\n" not in data else _encode(_decode_any(data)))


class InvokeStream(NativeStream):
    """Decodes one InvokeModelWithResponseStream answer."""

    def __init__(self, requested_model: str) -> None:
        super().__init__(requested_model)
        self._frames = FrameDecoder()
        self._chunk_headers = b""  # header block of the last frame known to be a chunk

    def _decode(self, chunk: bytes, events: list[Event]) -> None:
        for frame in self._frames.receive(chunk):
            if self.finished:
                break
            if (event := self._event(frame)) is not None:
                events.append(event)
        if self._frames.broken is not None:
            raise FrameError(str(self._frames.broken))

    def _event(self, frame: Frame) -> Event | None:
        if frame.raw_headers != self._chunk_headers:
            headers = frame.headers
            if headers.get(":message-type") != "event":
                raise refusal_of(headers, frame.payload)
            if headers.get(":event-type") != "chunk":
                return None  # an event kind of the future; only chunks carry the message
            self._chunk_headers = frame.raw_headers
        data = _decode_chunk(frame.payload).event
        if data.startswith(_TYPE_FIRST):
            name = data[len(_TYPE_FIRST) : data.index(b'"', len(_TYPE_FIRST))]
        else:
            name = _decode_typed(data).type.encode()
        return self._edited(name, data)


class GuardedInvokeStream(InvokeStream):
    """Decodes one that a guardrail may stop, which its last event says: message_delta waits for it.

    Example: `{"type":"message_stop","amazon-bedrock-guardrailAction":"INTERVENED"}` makes the
    stop reason before it `refusal`.
    """

    def __init__(self, requested_model: str) -> None:
        super().__init__(requested_model)
        self._stopped = False
        self._held: list[Event] = []

    def _edited(self, name: bytes, data: bytes) -> Event | None:
        if _AMAZON in data and _intervened(_decode_fields(data)):
            self._stopped = True
        return super()._edited(name, data)

    def _decode(self, chunk: bytes, events: list[Event]) -> None:
        decoded: list[Event] = []
        try:
            super()._decode(chunk, decoded)
        finally:  # what came before a failure is told
            for event in decoded:
                if event[0] == b"message_delta":
                    self._held.append(event)
                    continue
                if event is _STOP:
                    events += map(self._ended, self._held)
                events.append(event)

    def _ended(self, event: Event) -> Event:
        if not self._stopped:
            return event
        fields: dict[str, Any] = dict(_decode_fields(event[1]))
        fields["delta"] = _decode_fields(fields["delta"]) | refusal_ending(GUARDRAIL)
        return event[0], _encode(fields)


class EndpointStream(NativeStream):
    """Decodes one streamed answer of a Messages endpoint: server-sent events."""

    def __init__(self, requested_model: str) -> None:
        super().__init__(requested_model)
        self._sse = SSEDecoder()

    def _decode(self, chunk: bytes, events: list[Event]) -> None:
        for name, data in self._sse.receive(chunk):
            if self.finished:
                break
            if (event := self._edited(name, data)) is not None:
                events.append(event)
