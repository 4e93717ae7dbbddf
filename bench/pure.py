"""`python -m bench.pure`: what a hostile body of 4 MB costs on the event loop, step by step.

Every pure function that a client's body reaches, and every one that a long answer goes through,
must end within half a second. The exit code is 1 if one does not. `tool search` may take longer:
its work is bounded and runs in slices (docs/decisions/0013-slices.md). Names of kinds as arguments
measure only those. tests/test_growth.py holds that all of it grows with the size and no faster.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache, partial
from time import process_time
from typing import Any, Final

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.errors import ProxyError
from anthropic_bedrock_proxy.gateway.conversion import ConversionOptions, convert
from anthropic_bedrock_proxy.gateway.overrides.known import OverrideView
from anthropic_bedrock_proxy.gateway.sources import has_urls
from anthropic_bedrock_proxy.http.anthropic.encoder import ServerSentEvents
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions, Target
from anthropic_bedrock_proxy.protocol.adapt.adapt import adapt
from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.protocol.answer.metering import Meter
from anthropic_bedrock_proxy.protocol.converse.request.request import to_converse
from anthropic_bedrock_proxy.protocol.native.answer import InvokeStream
from anthropic_bedrock_proxy.protocol.native.endpoints import to_messages
from anthropic_bedrock_proxy.protocol.native.invoke import to_invoke
from anthropic_bedrock_proxy.protocol.request.bounds import bound_tokens
from anthropic_bedrock_proxy.protocol.request.messages import MessagesRequest, parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY
from anthropic_bedrock_proxy.protocol.tokens import estimate_input
from anthropic_bedrock_proxy.tools.kinds import tool_search
from anthropic_bedrock_proxy.tools.toolset import Toolset
from anthropic_bedrock_proxy.turn.driver import begin_turn
from anthropic_bedrock_proxy.turn.request import without_running

from . import work
from .hostile import FULL_BYTES, KINDS
from .table import Row, render


async def _no_pause() -> None:
    """Nobody else is there."""


_TOOLSET: Final = Toolset([tool_search(_no_pause, nullcontext)])
SSE = ServerSentEvents()

LIMIT_SECONDS: Final = 0.5
_ROUNDS: Final = 5
IN_SLICES: Final = "tool search"
VERSIONS: Final = ("2023-06-01", "2026-10-21")
# A model for each way of converting; those at the end lack most and are adapted the most.
MODELS: Final = {
    "invoke": ("claude-sonnet-4-5", "invoke"),
    "messages": ("claude-opus-4-8", "mantle"),
    "invoke, old": ("anthropic.claude-3-haiku-20240307-v1:0", "invoke"),
    "converse, Claude": ("claude-sonnet-4-5", "converse"),
    "converse, Nova": ("amazon.nova-2-lite-v1:0", "converse"),
    "converse, Qwen": ("qwen.qwen3-32b-v1:0", "converse"),
}
# Fields that Bedrock has refused: they are looked for in every block, and taken out.
_REFUSED: Final = OverrideView(
    {
        "beta": frozenset(),
        "field": frozenset(("messages.*.content.*.cache_control", "tools.*.strict")),
        "tier": frozenset(),
    },
    frozenset(),
)
_FLAGS: Final = [
    "context-management-2025-06-27",
    "interleaved-thinking-2025-05-14",
    *(f"unknown-{number}" for number in range(20)),
]
Step = tuple[str, Callable[[], Any]]


def steps(body: bytes) -> Iterator[Step]:
    """(its name, a pure function on the way of `body`), in the order of a request."""
    for version in VERSIONS:
        yield f"parse, {version}", lambda version=version: parse_request(body, version)
    yield "estimate", lambda: estimate_input(body)
    try:
        request = parse_request(body, VERSIONS[0])
    except ProxyError:
        return
    yield "URLs", lambda: has_urls(request.view)
    yield "bound", lambda: bound_tokens(request, context_tokens=10**6, output_tokens=10**5)
    rules = _registry().betas
    qwen = _target("converse, Qwen")
    yield "needs a turn", lambda: _TOOLSET.needed(request, qwen.capabilities, rules)
    made = request
    if _TOOLSET.needed(request, qwen.capabilities, rules):
        yield "history", lambda: without_running(request, _TOOLSET)
        yield IN_SLICES, lambda: asyncio.run(_run_tools(request))
        made = _or_else(lambda: without_running(request, _TOOLSET), request)
    for name in MODELS:
        yield from _conversion(made, name)
    target = _target("invoke")
    options = ConversionOptions(
        flags=_FLAGS, rules=rules, policy=DEFAULT_POLICY, stream=True, request_id="req_1"
    )
    yield "overrides", lambda: convert(request, target, options, _REFUSED)


def _conversion(request: MessagesRequest, name: str) -> Iterator[Step]:
    """Adapting to a model, and bringing that into its dialect."""
    target, rules = _target(name), _registry().betas
    capabilities = target.capabilities

    def adapted() -> MessagesRequest:
        return adapt(request, _FLAGS, capabilities, rules).request

    made = _or_else(adapted, request)
    to_dialect: Callable[..., Any] = {
        "invoke": to_invoke,
        "mantle": partial(to_messages, model_id=target.bedrock_model_id),
        "converse": partial(to_converse, stream=True),
    }[target.dialect]
    yield f"adapt, {name}", adapted
    yield name, lambda: to_dialect(made, _FLAGS, capabilities, rules, DEFAULT_POLICY)


def _or_else(step: Callable[[], MessagesRequest], request: MessagesRequest) -> MessagesRequest:
    """What a step makes; the request itself if it refuses."""
    try:
        return step()
    except ProxyError:
        return request


async def _run_tools(request: MessagesRequest) -> None:
    await begin_turn(request, _TOOLSET)


def answer_steps(size: int) -> Iterator[Step]:
    """The same for an answer of about `size` bytes, in the smallest pieces."""
    frames = b"".join(work.frames(size // 200))
    events = InvokeStream(work.MODEL).receive(frames)
    yield "frames", lambda: InvokeStream(work.MODEL).receive(frames)
    yield "fold", lambda: fold(events)
    yield "to SSE", lambda: SSE.events(events)
    meter = Meter()
    yield "meter", lambda: [meter.observe(event) for event in events]


@cache
def _registry() -> Registry:
    return Registry(load_model_table(), RoutingOptions(region="us-east-1"))


@cache
def _target(name: str) -> Target:
    model, dialect = MODELS[name]
    route = _registry().route(model)
    return _registry().target(route, route.targets[0].provider, dialect)


def seconds(step: Callable[[], Any]) -> tuple[float, str]:
    """(CPU, the best of a few where it is over the limit; how it ended)."""
    best, ended = float("inf"), ""
    for _ in range(_ROUNDS):
        began = process_time()
        try:
            step()
        except ProxyError as error:
            ended = error.message[:70]
        except Exception as error:  # noqa: BLE001  # told in the table: it is a fault
            ended = f"FAULT {error!r}"[:100]
        best = min(best, process_time() - began)
        gc.collect()
        if best < LIMIT_SECONDS:
            break
    return best, ended


def _row(kind: str, ways: Iterator[Step], faults: list[str]) -> Row:
    """The dearest step."""
    print(f"bench: {kind}", file=sys.stderr, flush=True)
    dearest, where = 0.0, ""
    for name, step in ways:
        took, ended = seconds(step)
        if name != IN_SLICES and took > dearest:
            dearest, where = took, name
        if (name != IN_SLICES and took > LIMIT_SECONDS) or ended.startswith("FAULT"):
            faults.append(f"{kind}: {name}: {took:.2f} s {ended}")
    return Row(f"{kind}: {where}", "ms", {"CPU": dearest * 1e3}, limit=LIMIT_SECONDS * 1e3)


def main() -> int:
    """Measures and prints; returns the exit code."""
    only = sys.argv[1:]
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)  # as a worker has it
    rows: list[Row] = []
    faults: list[str] = []
    for kind, make in KINDS.items():
        if not only or kind in only:
            body = make(FULL_BYTES)
            rows.append(_row(f"{kind}, {len(body) / 1e6:.1f} MB", steps(body), faults))
    if not only:
        rows.append(_row("an answer in pieces", answer_steps(FULL_BYTES), faults))
    print(render(rows, ["CPU"]))
    print("\n".join(["", *faults]) if faults else "\nevery step is within its limit")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
