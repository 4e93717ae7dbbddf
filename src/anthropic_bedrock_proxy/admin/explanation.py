"""A request in plain words: whose it was, what was done for it, what came of it, and why.

Each sentence is made of facts of the record, in the order in which they happened. For example:

    POST /v1/messages at 2026-11-29T06:30:12+00:00, for claude-x as a whole answer, ended with 429
    rate_limit_error after 1.4 ms.
    It was made with the key key_7f.
    The limits then: requests 0 of 60 left, full again at 06:31:00Z.
    The client was told: This request would exceed the limit of 60 requests per minute of the key …
    Why: It was over the limit of requests of its key (60, of which 0 were left; full again at
    2026-11-29T06:31:00Z). Wait, or raise it: `keys update key_7f --rate-limit N`, or …
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import msgspec

from ..money import usd
from ..telemetry.request_log.record import RequestRecord
from ..timeline import CANCELLED, OK, ToolRun, UpstreamRequest
from .moments import timestamp
from .reasons import reason_of
from .scopes import MASTER

_TO_ROUND: Final = 10.0


def explain(record: RequestRecord) -> list[str]:
    """Returns the sentences that explain a request, in the order of what happened."""
    return [
        *_begun(record),
        *_admitted(record),
        *_converted(record),
        *_done(record),
        *_ended(record),
    ]


def facts_of(record: RequestRecord) -> dict[str, Any]:
    """Returns the facts for programs; moments in milliseconds from the request's head on."""
    facts: dict[str, Any] = msgspec.to_builtins(record)
    line = facts.pop("line")
    for name in ("started", "ended", "received", "admitted", "told"):
        facts.pop(name, None)
    moments = {
        "received_ms": record.received,
        "admitted_ms": record.admitted,
        "first_event_ms": record.told,
        "ended_ms": record.ended,
    }
    facts |= {name: _since(record, at) for name, at in moments.items() if at}
    for kind in ("upstream", "tools"):
        for done in facts.get(kind, ()):
            for name in ("began", "sent", "first", "ended"):
                if at := done.pop(name, 0.0):
                    done[f"{name}_ms"] = _since(record, at)
    for budget in facts.get("budgets", ()):
        for name in ("budget", "left"):
            budget[f"{name}_usd"] = usd(budget.pop(f"{name}_nano", None))
        budget["resets_at"] = timestamp(budget.get("resets_at"))
    return {**line, **facts}


def _begun(record: RequestRecord) -> Iterator[str]:
    line = record.line
    began = datetime.fromisoformat(line.time) - timedelta(milliseconds=line.ms)
    when = began.isoformat(timespec="seconds")
    outcome = f"{line.status} {line.error}" if line.error else str(line.status)
    kind = "a stream" if line.stream else "a whole answer"
    asked = f", for {line.model} as {kind}," if line.model else ""
    yield f"{line.access} at {when}{asked} ended with {outcome} after {_text(line.ms)} ms."
    if line.key_id:
        user = f" of the user {line.user_id}" if line.user_id else ""
        key = "master key" if line.key_id == MASTER.id else f"key {line.key_id}"
        yield f"It was made with the {key}{user}."
    if line.trace_id:
        yield f"It belongs to the trace {line.trace_id}."


def _admitted(record: RequestRecord) -> Iterator[str]:
    if record.limits:
        states = (
            f"{one.kind} {one.remaining} of {one.limit} left, full again at {_clock(one.reset_at)}"
            for one in record.limits
        )
        yield f"The limits then: {'; '.join(states)}."
    for budget in record.budgets:
        left = "nobody knew yet how much is left"
        if budget.left_nano is not None:
            left = f"${usd(budget.left_nano)} left"
        again = timestamp(budget.resets_at)
        ends = "" if again is None else f", begins again at {again}"
        told = f"${usd(budget.budget_nano)}, {left}{ends}"
        yield f"The budget of {budget.owner} ({budget.period}): {told}."


def _converted(record: RequestRecord) -> Iterator[str]:
    if record.dropped:
        yield f"Left out for Bedrock, with nothing lost: {', '.join(record.dropped)}."
    if record.warnings:
        yield f"Changed for Bedrock, as the client was told: {'; '.join(record.warnings)}."


def _done(record: RequestRecord) -> Iterator[str]:
    tried = [(made.began, _tried(record, made)) for made in record.upstream]
    tried += [
        (run.began, f"ran {run.name}: {_came_to(run)} after {_ms(run.began, run.ended)}")
        for run in record.tools
    ]
    for number, (_, text) in enumerate(sorted(tried), start=1):
        yield f"{number}. {text}."
    for origin, to, code in record.switches:
        yield f"It was moved from {origin} to {to} because of {code}."


def _came_to(run: ToolRun) -> str:
    ended = run.code or run.outcome or "not ended"
    return f"{ended} ({run.reason})" if run.reason else ended


def _tried(record: RequestRecord, made: UpstreamRequest) -> str:
    asked = f"asked {made.provider} for {made.bedrock_model_id} by {made.operation}"
    if record.line.retries and made.step > 1:
        asked += f" (model call {made.step})"
    if not made.sent:
        return f"{asked}: not sent, {made.code}"
    took = _ms(made.sent, made.ended)
    if made.code == OK:
        first = f"first bytes after {_ms(made.sent, made.first)}, " if made.first else ""
        return f"{asked}: answered, {first}ended after {took}"
    if made.code == CANCELLED:
        return f"{asked}: given up after {took}, as nobody waited any more"
    status = f" ({made.status})" if made.status else ""
    return f"{asked}: {made.code}{status} after {took}"


def _ended(record: RequestRecord) -> Iterator[str]:
    line = record.line
    if record.upstream:
        yield (
            f"Bedrock was waited for {_text(line.upstream_ms)} ms; the proxy itself took "
            f"{_text(line.overhead_ms)} ms."
        )
        if (paused := _paused_ms(record.upstream)) >= 1:
            yield f"Between its attempts it paused for {_text(paused)} ms."
    if line.dialect and _billed(record):  # tokens that are only counted cost nothing
        cost = "has no known price" if line.cost_usd is None else f"cost ${line.cost_usd:.6f}"
        yield (
            f"It used {line.input_tokens} input, {line.output_tokens} output, "
            f"{line.cache_read_tokens} cache read and {line.cache_write_tokens} cache write "
            f"tokens, and {cost}."
        )
    if record.error_message:
        yield f"The client was told: {record.error_message}"
    if why := reason_of(record):
        yield f"Why: {why}"
    if line.disconnected:
        yield "The client left before the end of its answer."


def _billed(record: RequestRecord) -> bool:
    """Tells whether Bedrock did some work: of what it refused nothing is billed."""
    line = record.line
    tokens = line.input_tokens, line.output_tokens, line.cache_read_tokens, line.cache_write_tokens
    return any(tokens) or any(made.code == OK for made in record.upstream)


def _paused_ms(upstream: Sequence[UpstreamRequest]) -> float:
    """Adds up the time from the end of an attempt to the next one for the same model call."""
    return 1000 * sum(
        max(0.0, (later.sent or later.began) - earlier.ended)
        for earlier, later in pairwise(upstream)
        if earlier.ended and earlier.step == later.step
    )


def _since(record: RequestRecord, at: float) -> float:
    return round((at - record.started) * 1000, 2)


def _ms(begin: float, end: float) -> str:
    return f"{_text((end - begin) * 1000)} ms" if end else "an unknown time"


def _text(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= _TO_ROUND else f"{milliseconds:.1f}"


def _clock(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%H:%M:%SZ")
