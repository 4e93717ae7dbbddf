"""The spans of one request, from its exchange once it has ended. Knows nothing of OpenTelemetry.

    POST /v1/messages                            SERVER    received until the last byte
    ├─ admission                                 INTERNAL
    ├─ chat claude-sonnet-5                      CLIENT    one for each model call of the turn
    │  ├─ invoke-with-response-stream            CLIENT    refused: status ERROR, with its code
    │  └─ invoke-with-response-stream            CLIENT    its id is the one that Bedrock was told
    ├─ execute_tool code_execution               INTERNAL
    │  └─ cell                                   CLIENT    the call of the executor
    └─ chat claude-sonnet-5                      CLIENT

Usage stands on each model call, and on the SERVER span that of all together. Input tokens include
cached ones, other than Anthropic's own.
Source of names: OpenTelemetry semantic conventions 1.44 (HTTP); of what begins with `gen_ai.`, the
repository semantic-conventions-genai, whose names still change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ...gateway.exchange import Exchange
from ...money import NANO_PER_USD
from ...redaction import hide_keys, hide_secrets, redact
from ...timeline import OK, CellCall, ToolRun, TraceContext, UpstreamRequest
from .content import answered, asked

SERVER: Final = "SERVER"
CLIENT: Final = "CLIENT"
INTERNAL: Final = "INTERNAL"
_SESSION_HEADERS: Final = (b"x-session-id", b"x-claude-code-session-id")
_LONGEST: Final = 200
_SERVER_ERROR: Final = 500
_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_FAILED_RUNS: Final = ("failed", "timed_out", "cancelled")

Attribute = str | int | float | bool | list[str]


class SpanLink(msgspec.Struct, frozen=True):
    """Another span that one belongs to, without being its child."""

    trace_id: str
    span_id: str


class FinishedSpan(msgspec.Struct):
    """One span. Moments are seconds of the monotonic clock; ids are hex digits."""

    name: str
    kind: str
    span_id: str
    parent_id: str | None
    began: float
    ended: float
    attributes: dict[str, Attribute]
    error: str = ""  # a code; empty: it did not fail
    links: list[SpanLink] = []


class SpanTree:
    """Makes the spans of requests; `secrets` are hidden in whatever a client has said."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = secrets

    def spans(
        self, exchange: Exchange, trace: TraceContext, headers: Mapping[bytes, bytes]
    ) -> list[FinishedSpan]:
        """Returns the spans of a request that has ended: parents before their children."""
        session = self._session(headers)
        root = self._root(exchange, trace, session)
        spans = [root]
        if exchange.admitted:
            began = exchange.received or exchange.started
            spans.append(_child("admission", INTERNAL, root, (began, exchange.admitted), {}))
        steps: dict[int, list[UpstreamRequest]] = {}
        for made in exchange.timeline.upstream:
            steps.setdefault(made.step, []).append(made)
        for step, requests in steps.items():
            spans += self._step(exchange, root, step, requests, last_step=step == len(steps))
            if session:
                spans[-1 - len(requests)].attributes["gen_ai.conversation.id"] = session
        if trace.content is not None and steps:
            chats = [span for span in spans if "proxy.step" in span.attributes]
            chats[0].attributes.update(asked(trace.content, self._hide))
            chats[-1].attributes.update(answered(trace.content, self._hide))
        for run in exchange.timeline.tools:
            spans += _tool(exchange, root, run)
        return spans

    def words(self, text: str) -> str:
        """Returns a client's words, cut, without what must not be told."""
        text = text[: 2 * _LONGEST]  # cut here, a key is still long enough to be seen as one
        printable = "".join(c if c.isprintable() else "?" for c in text)
        return redact(self._hide(printable))[:_LONGEST]

    def _hide(self, text: str) -> str:
        return hide_keys(hide_secrets(text, self._secrets))

    def _session(self, headers: Mapping[bytes, bytes]) -> str:
        for name in _SESSION_HEADERS:
            if value := headers.get(name):
                return self.words(value.decode("latin-1"))
        return ""

    def _root(self, exchange: Exchange, trace: TraceContext, session: str) -> FinishedSpan:
        attributes: dict[str, Attribute] = {
            "http.request.method": "POST",
            "http.route": exchange.endpoint,
            "url.path": exchange.endpoint,
            "url.scheme": "http",
            "http.response.status_code": exchange.status,
            "proxy.request_id": exchange.request_id,
        }
        if session:
            attributes["session.id"] = attributes["gen_ai.conversation.id"] = session
        if exchange.key_id:
            attributes["proxy.key_id"] = exchange.key_id
        if exchange.caller is not None and exchange.caller.key.user_id:
            attributes["user.id"] = exchange.caller.key.user_id
        if exchange.model:
            attributes["gen_ai.request.model"] = self.words(exchange.model)
        if exchange.timeline.upstream:
            attributes |= _usage(_all_counts(exchange))
            if exchange.cost_nano is not None:
                attributes["proxy.cost_usd"] = exchange.cost_nano / NANO_PER_USD
        error = ""
        if exchange.error_type or exchange.status >= _SERVER_ERROR:
            attributes["error.type"] = error = exchange.error_type or str(exchange.status)
            if exchange.status < _SERVER_ERROR and not exchange.told:
                error = ""  # a refusal of what a client did is no error of ours
        if exchange.client_gone:
            attributes["proxy.client_disconnected"] = True
        name = f"POST {exchange.endpoint}" if exchange.endpoint else "POST"
        return FinishedSpan(
            name,
            SERVER,
            trace.span_id,
            trace.parent_id,
            exchange.started,
            exchange.ended,
            attributes,
            error,
        )

    def _step(
        self,
        exchange: Exchange,
        root: FinishedSpan,
        step: int,
        requests: list[UpstreamRequest],
        *,
        last_step: bool,
    ) -> list[FinishedSpan]:
        last = requests[-1]
        model = self.words(exchange.model)
        attributes: dict[str, Attribute] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": model,
            "gen_ai.response.model": redact(last.bedrock_model_id),
            "gen_ai.request.stream": exchange.stream,
            "proxy.step": step,
        }
        if last.first and last.streamed:
            attributes["gen_ai.response.time_to_first_chunk"] = round(
                last.first - requests[0].began, 6
            )
        attributes |= _step_usage(exchange, step)
        if last_step and exchange.meter.stop_reason:
            attributes["gen_ai.response.finish_reasons"] = [self.words(exchange.meter.stop_reason)]
        ended = max(one.ended or exchange.ended for one in requests)
        chat = _child(f"chat {model}", CLIENT, root, (requests[0].began, ended), attributes)
        if last.code != OK:
            chat.error = attributes["error.type"] = last.code or "unknown"
        return [chat, *(_request(exchange, chat, one, n) for n, one in enumerate(requests))]


def _request(
    exchange: Exchange, chat: FinishedSpan, made: UpstreamRequest, resend: int
) -> FinishedSpan:
    attributes: dict[str, Attribute] = {
        "rpc.system": "aws-api",
        "rpc.method": made.operation,
        "http.request.method": "POST",
        "aws.bedrock.model_id": redact(made.bedrock_model_id),
        "proxy.provider": made.provider,
    }
    if made.upstream_request_id:
        attributes["aws.request_id"] = made.upstream_request_id
    if resend:
        attributes["http.request.resend_count"] = resend
    status = made.status or (200 if made.code == OK else 0)
    if status:
        attributes["http.response.status_code"] = status
    ended = made.ended or exchange.ended
    span = _child(made.operation, CLIENT, chat, (made.began, ended), attributes)
    span.span_id = made.span_id or span.span_id
    if made.code != OK:
        span.error = attributes["error.type"] = made.code or "unknown"
    return span


def _tool(exchange: Exchange, root: FinishedSpan, run: ToolRun) -> list[FinishedSpan]:
    attributes: dict[str, Attribute] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": run.name,
        "gen_ai.tool.call.id": hide_keys(run.call_id[:_LONGEST]),
        "gen_ai.tool.type": "extension",
        "proxy.outcome": run.outcome or "cancelled",
    }
    ended = run.ended or exchange.ended
    span = _child(f"execute_tool {run.name}", INTERNAL, root, (run.began, ended), attributes)
    span.span_id = run.span_id or span.span_id
    if not run.outcome or run.outcome in _FAILED_RUNS:
        span.error = attributes["error.type"] = run.outcome or "cancelled"
    elif run.code:  # the model was told, and went on
        attributes["error.type"] = run.code
    return [span, *(_cell(exchange, span, cell) for cell in run.cells)]


def _cell(exchange: Exchange, tool: FinishedSpan, cell: CellCall) -> FinishedSpan:
    ended = cell.ended or exchange.ended
    span = _child("cell", CLIENT, tool, (cell.began, ended), {"proxy.cell_id": cell.cell})
    span.span_id = cell.span_id or span.span_id
    if cell.failed or not cell.ended:
        span.error = span.attributes["error.type"] = "failed" if cell.failed else "cancelled"
    return span


def _child(
    name: str,
    kind: str,
    parent: FinishedSpan,
    moments: tuple[float, float],
    attributes: dict[str, Attribute],
) -> FinishedSpan:
    span_id = os.urandom(8).hex()
    return FinishedSpan(name, kind, span_id, parent.span_id, *moments, attributes)


def _step_usage(exchange: Exchange, step: int) -> dict[str, Attribute]:
    """Returns the usage of one model call: what was spent after it, less what was before it."""
    spent = exchange.timeline.spent
    if step > len(spent) + 1:
        return {}
    after = _counts(spent[step - 1]) if step <= len(spent) else _all_counts(exchange)
    before = _counts(spent[step - 2]) if step > 1 else [0, 0, 0, 0]
    return _usage([max(0, a - b) for a, b in zip(after, before, strict=True)])


def _all_counts(exchange: Exchange) -> list[int]:
    """Returns the tokens of all model calls together, as `_COUNTS` names them."""
    usage = exchange.meter.billed()
    return [
        usage.input_tokens or 0,
        exchange.meter.output_tokens,
        usage.cache_read_input_tokens or 0,
        usage.cache_creation_input_tokens or 0,
    ]


def _counts(usage: Mapping[str, Any]) -> list[int]:
    found = [usage.get(name) for name in _COUNTS]
    return [count if isinstance(count, int) else 0 for count in found]


def _usage(counts: Sequence[int]) -> dict[str, Attribute]:
    fresh, output, read, written = counts
    return {
        "gen_ai.usage.input_tokens": fresh + read + written,
        "gen_ai.usage.output_tokens": output,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_write.input_tokens": written,
    }
