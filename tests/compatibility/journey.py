"""A request on its way to Bedrock: parsed, routed, URLs fetched, tools run, converted, judged.

Code runs in a sandbox that prints "5"; there is one container, in which a call waits, and one file.
Nothing is searched for and no page read: no request of the table has such a call left open.
The simulator's validators (and botocore's, for Converse) stand for Bedrock. What they refuse and
the proxy can do without is learned and tried again, as `gateway/messages.py` does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any

import msgspec
from converse_shapes import check_shapes
from fake_sandbox import FakeSandbox, printed, waiting
from rows import CODE_CALL, CONTAINER, FILE, PROGRAM_CALL, Column
from web_fetches import ScriptedPages
from web_searches import ScriptedSearcher
from working import no_pause

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal, from_refusal
from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.fetch.base import Fetched, FetchError
from anthropic_bedrock_proxy.gateway.attempt import learned
from anthropic_bedrock_proxy.gateway.conversion import Conversion, ConversionOptions, convert
from anthropic_bedrock_proxy.gateway.overrides.overrides import Overrides
from anthropic_bedrock_proxy.gateway.sources import Sources, has_urls
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions, Target
from anthropic_bedrock_proxy.protocol.request.messages import MessagesRequest, parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY
from anthropic_bedrock_proxy.sim.anthropic import endpoints as messages
from anthropic_bedrock_proxy.sim.anthropic import validation as invoke
from anthropic_bedrock_proxy.sim.converse import validation as converse
from anthropic_bedrock_proxy.sim.models.lookup import resolve_for_inference
from anthropic_bedrock_proxy.sim.wire.refusal import Refusal
from anthropic_bedrock_proxy.tools.code_execution.options import CodeExecutionOptions
from anthropic_bedrock_proxy.tools.kinds import code_execution, tool_search, web_fetch, web_search
from anthropic_bedrock_proxy.tools.toolset import Toolset
from anthropic_bedrock_proxy.tools.web.fetch_options import WebFetchOptions
from anthropic_bedrock_proxy.tools.web.seal import Seals
from anthropic_bedrock_proxy.tools.web.search_options import WebSearchOptions
from anthropic_bedrock_proxy.turn.driver import begin_turn
from anthropic_bedrock_proxy.upstream.base import ModelCall

BASE: dict[str, Any] = {
    "max_tokens": 4096,
    "messages": [{"role": "user", "content": "Hello"}],
}
PDF = b"%PDF-1.4 fetched"
PNG = b"\x89PNG fetched"
_PAGES = {
    "https://example.com/a.png": Fetched(PNG, "image/png", ""),
    "https://example.com/a.pdf": Fetched(PDF, "application/pdf", ""),
    "https://example.com/a.txt": Fetched(b"fetched", "text/plain", ""),
}
SEALS = Seals([b"k" * 32], lambda: 0.0, 30)
_VERSION = "2023-06-01"
_MAX_LESSONS = 3


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a request. `tree` is the body, with the call around it as `@` keys."""

    refusal: str = ""  # 400 of the proxy, with the path
    by_bedrock: bool = False  # the refusal is Bedrock's own, relayed
    tree: dict[str, Any] = {}
    told: list[str] = []  # dropped and warnings
    added: Mapping[str, Any] = {}
    lessons: int = 0  # refusals of Bedrock that were learned from


class _Pages:
    async def fetch(self, url: str, *, accept: frozenset[str], max_bytes: int, key: str) -> Fetched:
        if url not in _PAGES:
            raise FetchError("404")
        return _PAGES[url]


@cache
def registry(dialect: str) -> Registry:
    """All models, spoken to in one dialect (empty: their own), as an operator may force it."""
    dialects = {"*": dialect} if dialect else {}
    options = RoutingOptions(region="us-east-1", dialects=dialects)
    return Registry(load_model_table(), options)


def travel(column: Column, given: dict[str, Any], flags: tuple[str, ...] = ()) -> Outcome:
    """Sends a request over BASE on its way; never raises for what is refused."""
    body = {"model": column.model, **BASE, **given}
    return _travel(column, msgspec.json.encode(body), flags)


@cache
def _travel(column: Column, body: bytes, flags: tuple[str, ...]) -> Outcome:
    try:
        request, target = arrive(column, msgspec.json.decode(body))
        return _convert(column, request, target, flags)
    except InvalidRequestError as error:
        return Outcome(refusal=error.message)


def _tools() -> Toolset:
    """The tools of an installation whose sandbox nobody has used but for one container."""
    sandbox = FakeSandbox(printed("5\n"))
    call = waiting(**{PROGRAM_CALL["id"]: ("weather", PROGRAM_CALL["input"])})
    sandbox.containers[CONTAINER] = ("-", {CODE_CALL["id"]: call})
    sandbox.keep("-", FILE)
    code = code_execution(lambda: sandbox, CodeExecutionOptions(), nullcontext)
    search = web_search(ScriptedSearcher(), _seals, WebSearchOptions())
    fetch = web_fetch(ScriptedPages(), WebFetchOptions())
    return Toolset([tool_search(no_pause, nullcontext), code, search, fetch])


async def _seals() -> Seals:
    return SEALS


async def _first_call(request: MessagesRequest, tools: Toolset) -> MessagesRequest:
    return (await begin_turn(request, tools)).turn.request


def options_of(
    request: MessagesRequest, column: Column, flags: tuple[str, ...] = ()
) -> ConversionOptions:
    """What is the same for every target."""
    return ConversionOptions(
        flags=list(flags),
        rules=registry(column.dialect).betas,
        policy=DEFAULT_POLICY,
        stream=bool(request.view.stream),
        request_id="req_1",
    )


def arrive(
    column: Column, body: dict[str, Any], version: str = _VERSION
) -> tuple[MessagesRequest, Target]:
    """The request as it is converted, and where it goes. Raises `InvalidRequestError`."""
    request = parse_request(msgspec.json.encode(body), version)
    route = registry(column.dialect).route(body["model"], geography=request.inference_geo())
    if has_urls(request.view):
        request = asyncio.run(Sources(_Pages()).inline(request, "key_1"))
    return request, route.targets[0]


def _convert(
    column: Column, request: MessagesRequest, target: Target, flags: tuple[str, ...]
) -> Outcome:
    rules = registry(column.dialect).betas
    overrides = Overrides(rules.needed_for)
    if tools := _tools().needed(request, target.capabilities, rules):
        request = asyncio.run(_first_call(request, tools))
    options = options_of(request, column, flags)
    view = None
    for lessons in range(_MAX_LESSONS):
        conversion = convert(request, target, options, view)
        call = conversion.call
        try:
            judge(call)
        except Refusal as said:
            refusal = UpstreamRefusal(said.type, said.message, status=400)
            taught = learned(
                overrides, request, target, options, call=call, refusal=refusal, view=view
            )
            if taught is not None:
                view = taught
                continue
            return Outcome(refusal=from_refusal(refusal).message, by_bedrock=True)
        return _outcome(conversion, lessons)
    raise AssertionError("the proxy does not stop learning")


def _outcome(conversion: Conversion, lessons: int) -> Outcome:
    call = conversion.call
    return Outcome(
        tree={
            **msgspec.json.decode(call.body),
            "@model": call.bedrock_model_id,
            "@operation": call.operation,
            "@headers": dict(call.headers),
        },
        told=[*conversion.dropped, *conversion.warnings],
        added=conversion.added,
        lessons=lessons,
    )


def judge(call: ModelCall) -> None:
    """Bedrock's part. Raises `Refusal`."""
    if call.operation.startswith("converse"):
        streams = call.operation.endswith("-stream")
        check_shapes(call.body, stream=streams)
        converse.validate(resolve_for_inference(call.bedrock_model_id), call.body, streams=streams)
    elif call.operation.startswith("invoke"):
        invoke.validate(resolve_for_inference(call.bedrock_model_id), call.body)
    else:
        operation = "MantleMessages" if call.operation.startswith("mantle") else "Messages"
        messages.validate(operation, msgspec.json.decode(call.body), dict(call.headers), {})
