"""A ConverseStream answer -> Anthropic's events. Sans-IO.

`messageStop` tells why the model stopped, `metadata` after it what the answer cost, and Anthropic's
message_delta says both. So the end is held back until `metadata` is here or the bytes have ended:
it must not matter which frames the network delivered together.
Source: Bedrock service model (ConverseStreamOutput); Anthropic API, "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ....aws_errors import CUT_SHORT, NOT_AN_ANSWER, UpstreamRefusal
from ...answer.events import Event
from ...aws.eventstream import Frame, FrameDecoder, FrameError
from ...aws.exceptions import CORRUPT, refusal_of
from ...tokens import estimate_output
from .blocks import (
    IMAGE_NOTE,
    citation,
    result_text,
    server_tool_note,
    tool_call,
)
from .end import ending, tells_usage, usage_of
from .shapes import BlockDelta, BlockStart, BlockStop, Delta, Stop
from .stream_blocks import IMAGE, RESULT, SERVER_TOOL, BlockSequence
from .whole import NO_NAMES

_DELTA: Final = "contentBlockDelta"
_KINDS: Final = frozenset(
    {
        "messageStart",
        "contentBlockStart",
        _DELTA,
        "contentBlockStop",
        "messageStop",
        "metadata",
    }
)
_STOP: Final[Event] = (b"message_stop", b'{"type":"message_stop"}')
# Unknown until `metadata`; message_delta brings the true numbers.
_UNKNOWN_USAGE: Final = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": None,
    "output_tokens": 1,
    "service_tier": None,
}

_encode = msgspec.json.Encoder().encode
_decode_any: Any = msgspec.json.Decoder(float_hook=float).decode
_decode_start = msgspec.json.Decoder(BlockStart).decode
_decode_delta = msgspec.json.Decoder(BlockDelta).decode
_decode_block_stop = msgspec.json.Decoder(BlockStop).decode
_decode_stop = msgspec.json.Decoder(Stop, float_hook=float).decode


class ConverseStream:
    """Decodes one ConverseStream answer (a `StreamDecoder`).

    After `end()`, call `receive(b"")` once: where `metadata` never came, the last events are there.
    `usage_estimated` is True once message_delta told an estimate in place of AWS's numbers.
    """

    def __init__(
        self,
        requested_model: str,
        *,
        message_id: str,
        tool_names: Mapping[str, str] = NO_NAMES,
        stop_sequences: Sequence[str] = (),
        estimate_input: Callable[[], int] = lambda: 0,
    ) -> None:
        """`estimate_input` estimates tokens of the request; called only if AWS never tells them."""
        self._frames = FrameDecoder()
        self._requested_model = requested_model
        self._message_id = message_id
        self._tool_names = tool_names
        self._stop_sequences = stop_sequences
        self._estimate_input = estimate_input
        self._kinds: dict[bytes, str] = {}  # header blocks seen -> event type
        self._blocks = BlockSequence()
        self._started = False
        self._ending: dict[str, Any] | None = None  # held since messageStop
        self._metadata: dict[str, Any] | None = None
        self.usage_estimated = False
        self.finished = False
        self.failure: UpstreamRefusal | None = None

    def receive(self, chunk: bytes) -> list[Event]:
        """Events completed by `chunk`; `failure` is set when the stream broke after them."""
        if not self.finished and self.failure is None:
            self._read(chunk)
        return self._blocks.take()

    def end(self) -> None:
        """Takes note that the bytes have ended; sets `failure` if that was before messageStop."""
        if self.finished or self.failure is not None:
            return
        if self._ending is not None:
            self._finish(self._ending, self._metadata or {})
        else:
            self.failure = UpstreamRefusal(CUT_SHORT, "The model's stream was cut before its end.")

    def _read(self, chunk: bytes) -> None:
        try:
            for frame in self._frames.receive(chunk):
                self._on_frame(frame)
                if self.finished:
                    return
            if self._frames.broken is not None:
                raise FrameError(str(self._frames.broken))
        except UpstreamRefusal as refusal:
            self.failure = refusal.with_traceback(None)  # docs/decisions/0020
        except CORRUPT as error:
            self.failure = UpstreamRefusal(CUT_SHORT, f"The model's stream is corrupt: {error}")

    def _on_frame(self, frame: Frame) -> None:
        kind = self._kinds.get(frame.raw_headers) or self._kind_of(frame)
        if kind == _DELTA and self._started and self._ending is None:
            event = _decode_delta(frame.payload)
            if event.delta.text:
                self._blocks.add_text(event.content_block_index, event.delta.text)
            else:
                self._on_delta(event.content_block_index, event.delta)
        elif kind:
            self._on_rare_event(kind, frame.payload)

    def _kind_of(self, frame: Frame) -> str:
        """Returns a frame's event type; "" for one that this version does not know.

        Raises `UpstreamRefusal` for exception and error frames.
        """
        headers = frame.headers
        if headers.get(":message-type") != "event":
            raise refusal_of(headers, frame.payload)
        kind = str(headers.get(":event-type"))
        if kind not in _KINDS:
            return ""
        self._kinds[frame.raw_headers] = kind
        return kind

    def _on_rare_event(self, kind: str, payload: bytes) -> None:
        if kind == "metadata":
            tree = _decode_any(payload)
            self._metadata = metadata = tree if isinstance(tree, dict) else {}
            if self._ending is not None:
                self._finish(self._ending, metadata)
        elif not self._started:
            if kind != "messageStart":
                raise UpstreamRefusal(NOT_AN_ANSWER, "The stream did not begin a message.")
            self._start()
        elif self._ending is not None:
            pass  # nothing belongs to the message after messageStop
        elif kind == "contentBlockStart":
            self._on_block_start(_decode_start(payload))
        elif kind == "contentBlockStop":
            self._blocks.close(_decode_block_stop(payload).content_block_index)
        elif kind == "messageStop":
            self._on_message_stop(_decode_stop(payload))

    def _start(self) -> None:
        self._started = True
        message: dict[str, Any] = {
            "id": self._message_id,
            "type": "message",
            "role": "assistant",
            "model": self._requested_model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _UNKNOWN_USAGE,
        }
        data = _encode({"type": "message_start", "message": message})
        self._blocks.events.append((b"message_start", data))

    def _on_block_start(self, event: BlockStart) -> None:
        index = event.content_block_index
        self._blocks.close(index)
        if (call := event.start.tool_use) is not None:
            if call.runs_on_bedrock:
                self._blocks.add_note(index, SERVER_TOOL, server_tool_note(call))
            else:
                self._blocks.call_tool(index, {**tool_call(call, self._tool_names), "input": {}})
        elif event.start.image is not None:
            self._blocks.add_note(index, IMAGE, IMAGE_NOTE)

    def _on_delta(self, index: int, delta: Delta) -> None:
        """Takes a delta other than text."""
        blocks = self._blocks
        if delta.tool_use is not None:
            blocks.add_input(index, delta.tool_use.input)
        elif (reasoning := delta.reasoning_content) is not None:
            if reasoning.text:
                blocks.add_thinking(index, reasoning.text)
            if reasoning.signature:
                blocks.add_signature(index, reasoning.signature)
            if reasoning.redacted_content:
                blocks.add_redacted(index, reasoning.redacted_content)
        elif delta.citation is not None:
            if (cited := citation(delta.citation)) is not None:
                blocks.add_citation(index, cited)
        elif delta.image is not None:
            blocks.add_note(index, IMAGE, IMAGE_NOTE)
        elif delta.tool_result is not None:
            for part in delta.tool_result:
                blocks.add_text(index, result_text(part), RESULT)

    def _on_message_stop(self, stop: Stop) -> None:
        blocks = self._blocks
        blocks.close_all()
        self._ending = ending(
            stop,
            self._stop_sequences,
            has_content=blocks.count > 0,
            calls_tool=blocks.calls_tool,
        )
        if self._metadata is not None:
            self._finish(self._ending, self._metadata)

    def _finish(self, delta: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Emits the last two events, with AWS's usage or else an estimate."""
        if not tells_usage(metadata):
            self.usage_estimated = True
            estimate = estimate_output(self._blocks.delta_events, self._blocks.delta_bytes)
            counts = {"inputTokens": self._estimate_input(), "outputTokens": max(1, estimate)}
            metadata = {**metadata, "usage": counts}
        data = _encode({"type": "message_delta", "delta": delta, "usage": usage_of(metadata)})
        self._blocks.events += [(b"message_delta", data), _STOP]
        self.finished = True
