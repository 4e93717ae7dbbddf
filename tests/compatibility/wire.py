"""Streams of Converse as AWS frames them, for the failure groups."""

from __future__ import annotations

from streams import encode

from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame
from anthropic_bedrock_proxy.protocol.converse.answer.stream import ConverseStream

USAGE = {
    "inputTokens": 12,
    "outputTokens": 34,
    "totalTokens": 46,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 3,
}


def frame(name, payload):
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_frame(headers, encode(payload))


def call_start(ident, name):
    return {"toolUse": {"toolUseId": ident, "name": name}}


def call_input(text):
    return {"toolUse": {"input": text}}


def converse_frames(blocks, starts=None, stop="end_turn"):
    """A whole answer: index -> the deltas of that block."""
    frames = [frame("messageStart", {"role": "assistant"})]
    for index, deltas in blocks.items():
        if start := (starts or {}).get(index):
            frames.append(frame("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        frames += [
            frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
            for delta in deltas
        ]
        frames.append(frame("contentBlockStop", {"contentBlockIndex": index}))
    frames.append(frame("messageStop", {"stopReason": stop}))
    frames.append(frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 5}}))
    return frames


def folded(frames):
    """The message that the client sees, one frame at a time."""
    stream = ConverseStream("model", message_id="msg_1", tool_names={})
    events = [event for piece in frames for event in stream.receive(piece)]
    stream.end()
    events += stream.receive(b"")
    assert stream.failure is None, stream.failure
    return fold(events)
