"""A turn on several targets, and what its tools cost however many there are."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from probe import PROBE, Probe
from streams import decode, encode
from working import no_pause, search_tools

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.gateway.conversion import ConversionOptions
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.gateway.turns import opened_turn
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY
from anthropic_bedrock_proxy.tools.kinds import tool_search
from anthropic_bedrock_proxy.tools.toolset import Toolset

NAME = "tool_search_tool_regex"
PENDING = {"type": "server_tool_use", "id": "srvtoolu_1", "name": NAME, "input": {"pattern": "x"}}
BODY = {
    "model": "qwen.qwen3-32b-v1:0",
    "max_tokens": 100,
    "tools": [{"type": NAME, "name": NAME}, {"name": "xyz", "defer_loading": True}],
    "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [PENDING]},
    ],
}


OPTIONS = ConversionOptions(
    flags=[], rules=BetaRules(), policy=DEFAULT_POLICY, stream=False, request_id="req_1"
)


class Target:
    """An attempt that refuses, or opens a stream that nobody reads."""

    options = OPTIONS

    def __init__(self, exchange, request, *, refuses=False):
        self.exchange, self.request, self.refuses = exchange, request, refuses
        self.asked = []

    async def open_call(self, request):
        self.asked.append(request)
        if self.refuses:
            raise UpstreamRefusal("ThrottlingException", "no")
        return self

    upstream_request_id = service_tier = None


def test_what_a_history_has_pending_is_run_once_whatever_targets_are_tried():
    async def main():
        slices, exchange = [], Exchange("req_1", started=0.0, at_ms=0)

        async def pause():
            slices.append(1)

        tools = search_tools(pause)
        request = parse_request(encode(BODY), "2023-06-01")
        targets = [Target(exchange, request, refuses=refuses) for refuses in (True, True, False)]
        for target in targets[:2]:
            with pytest.raises(UpstreamRefusal):
                await opened_turn(target, tools)
        await opened_turn(targets[2], tools)
        assert targets[2].options.stream, "for the client's sake or to be folded"
        assert len(slices) == 1
        (first,), (second,), (third,) = (target.asked for target in targets)
        assert first is second is third
        assert b"xyz" in bytes(first.fields["messages"])

    asyncio.run(main())


def test_a_target_that_lacks_another_tool_too_has_a_turn_with_what_has_run():
    async def main():
        probe, exchange = Probe(), Exchange("req_1", started=0.0, at_ms=0)
        pending = {"type": "server_tool_use", "id": "srvtoolu_2", "name": "probe"}
        probe.end(1, "one")
        body = {
            **BODY,
            "tools": [PROBE, *BODY["tools"]],
            "messages": [
                BODY["messages"][0],
                {"role": "assistant", "content": [{**pending, "input": {"n": 1}}]},
            ],
        }
        request = parse_request(encode(body), "2023-06-01")
        kind = probe.kind
        few, more = Toolset([kind]), Toolset([kind, tool_search(no_pause, nullcontext)])
        targets = [Target(exchange, request, refuses=refuses) for refuses in (True, True, False)]
        for target, tools in zip(targets, (few, more, few), strict=True):
            with pytest.raises(UpstreamRefusal) if target.refuses else nullcontext():
                await opened_turn(target, tools)
        (first,), (second,), (third,) = (target.asked for target in targets)
        assert BODY["tools"][0] in decode(first.fields["tools"])
        assert BODY["tools"][0] not in decode(second.fields["tools"])
        assert second is third
        assert first.fields["messages"] == second.fields["messages"]
        assert b'"one"' in bytes(first.fields["messages"])
        assert len(probe.started) == 1

    asyncio.run(main())
