"""Metering: the tokens that an answer cost, from its events or from its whole body.

`message_start` brings the input side, each `message_delta` the cumulative rest; a field that is
null or absent there keeps its earlier value, as the SDKs' accumulators do. When a stream ends
before its last `message_delta`, the output is estimated from the deltas seen, and flagged; so is
that of a whole answer which does not tell it.
A `usage` of an unexpected form is read as far as it can be, and flagged too: an answer is never
lost over its bill.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec

from ..tokens import estimate_input, estimate_output
from .events import Event

_MAX_TOKENS: Final = (1 << 53) - 1  # beyond this a number of tokens is nonsense
_COMPACTION: Final = "compaction"
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MAX_TOKENS)]


class CacheCreation(msgspec.Struct, gc=False):
    """Cache writes by time to live."""

    ephemeral_5m_input_tokens: _Count | None = None
    ephemeral_1h_input_tokens: _Count | None = None


class ServerToolUse(msgspec.Struct, gc=False):
    """The numbers of runs of server tools."""

    web_search_requests: _Count | None = None
    web_fetch_requests: _Count | None = None
    code_execution_requests: _Count | None = None


class Iteration(msgspec.Struct, gc=False):
    """One of the model's passes over a request."""

    type: str = ""
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_creation: CacheCreation | None = None


class Usage(msgspec.Struct, gc=False):
    """The members of Anthropic's usage that cost money; `input_tokens` excludes cache tokens."""

    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None
    service_tier: str | None = None
    bedrock_service_tier: str | None = None  # one that Anthropic has no word for
    iterations: list[Iteration] | None = None

    @property
    def web_searches(self) -> int:
        """Returns the number of web searches that were made."""
        tools = self.server_tool_use
        return (tools and tools.web_search_requests) or 0


class _Body(msgspec.Struct):
    """A whole answer, or a `message_delta`; nothing hangs on the form of why it ended."""

    usage: Usage | None = None
    delta: Any = None
    stop_reason: Any = None


class _WholeAnswer(_Body):
    """A whole answer, with what makes it one."""

    type: Any = None
    content: msgspec.Raw = msgspec.Raw(b"")


class _MessageStart(msgspec.Struct, gc=False):
    message: _Body


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_message = msgspec.json.Decoder(_WholeAnswer).decode
_decode_start = msgspec.json.Decoder(_MessageStart).decode
_decode_any: Any = msgspec.json.Decoder(float_hook=float).decode  # 1e400 is no error here
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class Meter(msgspec.Struct, eq=False):
    """Counter of one answer's usage, fed with its events or its whole body."""

    usage: Usage = msgspec.field(default_factory=Usage)
    final: bool = False  # the model has told the output tokens of the whole answer
    stop_reason: str = ""  # as the client is told it
    _assumed: bool = False
    _delta_events: int = 0
    _delta_bytes: int = 0

    def observe(self, event: Event) -> None:
        """Takes note of one stream event. Never raises."""
        name, data = event
        if name == b"content_block_delta":
            self._delta_events += 1
            self._delta_bytes += len(data)
        elif name == b"message_delta":
            try:
                body = _decode_body(data)
                usage = body.usage
                self._merge(usage)
                if isinstance(body.delta, dict):
                    self._stopped(body.delta.get("stop_reason"))
                if usage is not None and usage.output_tokens is not None:
                    self.final = True
            except _UNREADABLE:
                self._salvage(_tree(data))
        elif name == b"message_start":
            try:
                self._merge(_decode_start(data).message.usage)
            except _UNREADABLE:
                self._salvage(_tree(data).get("message"))
                self.final = False

    def observe_message(self, body: bytes) -> None:
        """Takes note of a whole answer. Raises ValueError or MsgspecError if it is none."""
        self.usage, self._assumed = Usage(), False  # an earlier attempt may have left an estimate
        try:
            decoded = _decode_message(body)
            if decoded.type != "message" or bytes(memoryview(decoded.content)[:1]) != b"[":
                raise ValueError("it has no content")
            self.usage = decoded.usage or self.usage
            self._stopped(decoded.stop_reason)
            self.final = self.usage.output_tokens is not None
        except msgspec.ValidationError:
            answer = _decode_any(body)
            if not isinstance(answer, dict) or not isinstance(answer.get("content"), list):
                raise
            self._salvage(answer)
        except RecursionError:  # read by nobody else, so no reason to lose it
            self._salvage(None)
        if not self.final:
            self._delta_events, self._delta_bytes = 1, len(body)

    def assume_usage(self) -> None:
        """Marks what was observed as usage as an estimate."""
        self._assumed = True

    def assume_input(self, body: bytes) -> None:
        """Charges the estimated input of `body`, as AWS will, for an answer that never came."""
        if self.usage.input_tokens is None:
            self.usage.input_tokens = estimate_input(body)
            self._assumed = True

    @property
    def output_tokens(self) -> int:
        """Returns the output tokens: the model's number, or an estimate (see `estimated`)."""
        usage = self.usage
        told = usage.output_tokens or 0
        if not self.final:
            told = max(told, estimate_output(self._delta_events, self._delta_bytes))
        if usage.iterations is not None:
            told = _sum((told, *(made.output_tokens for made in _unsummed(usage))))
        return told

    def billed(self) -> Usage:
        """Returns `usage` plus the passes that it leaves out but that are billed.

        Its `output_tokens` mean nothing: see the property of that name.
        """
        if self.usage.iterations is None:
            return self.usage
        parts: list[Usage | Iteration] = [self.usage, *_unsummed(self.usage)]
        splits = [part.cache_creation for part in parts if part.cache_creation is not None]
        return msgspec.structs.replace(
            self.usage,
            input_tokens=_sum(part.input_tokens for part in parts),
            cache_read_input_tokens=_sum(part.cache_read_input_tokens for part in parts),
            cache_creation_input_tokens=_sum(part.cache_creation_input_tokens for part in parts),
            cache_creation=CacheCreation(
                _sum(split.ephemeral_5m_input_tokens for split in splits),
                _sum(split.ephemeral_1h_input_tokens for split in splits),
            ),
        )

    @property
    def estimated(self) -> bool:
        """Tells whether any of the counts is an estimate: the model never came to tell it."""
        return self._assumed or (not self.final and self._delta_events > 0)

    def _salvage(self, message: object) -> None:
        """Reads as much as it can of a `usage` of an unexpected form."""
        usage = message.get("usage") if isinstance(message, dict) else None
        if isinstance(usage, dict):
            self._read(usage)
        self._assumed = True

    def _read(self, usage: dict[str, Any]) -> None:
        readable = msgspec.convert(_counts(Usage, usage), Usage)
        if isinstance(creation := usage.get("cache_creation"), dict):
            readable.cache_creation = msgspec.convert(
                _counts(CacheCreation, creation), CacheCreation
            )
        if isinstance(tools := usage.get("server_tool_use"), dict):
            readable.server_tool_use = msgspec.convert(_counts(ServerToolUse, tools), ServerToolUse)
        if isinstance(tier := usage.get("service_tier"), str):
            readable.service_tier = tier
        self._merge(readable)
        self.final = readable.output_tokens is not None

    def _stopped(self, reason: object) -> None:
        if isinstance(reason, str):
            self.stop_reason = reason

    def _merge(self, usage: Usage | None) -> None:
        if usage is None:
            return
        if usage.input_tokens is not None:
            self._assumed = False  # true numbers replace the estimate of an earlier attempt
        mine = self.usage
        for name in Usage.__struct_fields__:
            value = getattr(usage, name)
            if value is not None:
                setattr(mine, name, value)


def _unsummed(usage: Usage) -> list[Iteration]:
    """Returns the passes that compacted the history: the sums of a usage object leave them out."""
    return [made for made in usage.iterations or () if made.type == _COMPACTION]


def _sum(counts: Iterable[int | None]) -> int:
    """Adds up the counts, to no more than a record can hold."""
    return min(sum(count or 0 for count in counts), _MAX_TOKENS)


def _tree(data: bytes) -> dict[str, Any]:
    """Decodes an event's JSON; empty if it is none."""
    try:
        tree = _decode_any(data)
    except _UNREADABLE:
        return {}
    return tree if isinstance(tree, dict) else {}


def _counts(kind: type[msgspec.Struct], tree: dict[str, Any]) -> dict[str, int]:
    """Returns the members of `tree` that can be token counts; fractions are rounded up."""
    return {
        name: math.ceil(value)
        for name in kind.__struct_fields__
        if isinstance(value := tree.get(name), int | float)
        and not isinstance(value, bool)
        and 0 <= value <= _MAX_TOKENS
    }
