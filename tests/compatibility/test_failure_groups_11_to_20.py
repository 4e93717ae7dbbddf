"""Twenty ways in which public proxies to Bedrock failed: the last ten."""

from __future__ import annotations

import asyncio
from base64 import b64decode

import pytest
import wire
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from failures import (
    BY_KEY,
    CLAUDE_CODE,
    CLAUDE_CODE_FLAGS,
    DEFERRED,
    PDF,
    every_way,
    native,
    refused,
    sent,
)
from journey import BASE, arrive, options_of, registry, travel
from rows import (
    HELLO,
    HOUR,
    RESULT,
    TEXT,
    TOOL,
    loop,
)
from streams import EVENTS, STREAM, decode, encode
from wire import converse_frames, folded
from working import search_tools

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws.connect import Endpoint
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal, from_refusal
from anthropic_bedrock_proxy.fetch.base import FetchError
from anthropic_bedrock_proxy.gateway.admission.admission import Admission
from anthropic_bedrock_proxy.gateway.answer.pacing import PacedStream, Pacing
from anthropic_bedrock_proxy.gateway.conversion import convert
from anthropic_bedrock_proxy.gateway.counting import Counting, TokenCount
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.gateway.sources import Sources
from anthropic_bedrock_proxy.http.anthropic.encoder import ServerSentEvents
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.answer.events import PING
from anthropic_bedrock_proxy.protocol.converse.answer.whole import finish_converse
from anthropic_bedrock_proxy.protocol.native.answer import EndpointStream, InvokeStream
from anthropic_bedrock_proxy.upstream.base import ModelCall
from anthropic_bedrock_proxy.upstream.bedrock import BedrockUpstream
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

SSE = ServerSentEvents()


# 11. litellm#26937, vercel/ai#8861
def test_11_documents_keep_citations_and_context():
    document = {**PDF, "citations": {"enabled": True}, "context": "Mine", "title": "A b.pdf"}
    body = sent(BY_KEY["converse"], messages=[{"role": "user", "content": [document, TEXT]}])
    converted = body["messages"][0]["content"][0]["document"]
    assert converted["citations"] == {"enabled": True}
    assert converted["context"] == "Mine"


def test_11_documents_without_citations_are_read_as_text_and_the_client_hears_of_it():
    request = {"messages": [{"role": "user", "content": [PDF, TEXT]}]}
    assert any("without citations" in said for said in travel(BY_KEY["converse"], request).told)


# 12. litellm#32683, litellm#18857
def count(model, *script):
    class NoPages:
        async def fetch(self, url, *, accept, max_bytes, key):
            raise FetchError(url)

    upstream = FakeUpstream(script)
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    exchange.version = "2023-06-01"
    providers = {DEFAULT_PROVIDER: upstream}
    admission = Admission(None)  # nobody's request is asked for nothing
    sources, tools = Sources(NoPages()), search_tools()
    counting = Counting(providers, registry(""), sources, admission, tools, monotonic=lambda: 0.0)
    body = encode({"model": model, "messages": [HELLO]})
    return asyncio.run(counting.handle(exchange, body)), upstream.calls


def test_12_count_tokens_asks_for_the_base_model():
    profile = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
    reply, (call,) = count(profile, encode({"inputTokens": 7}))
    assert reply == TokenCount(7)
    assert call.bedrock_model_id == profile.removeprefix("us.")
    asked = decode(b64decode(decode(call.body)["input"]["invokeModel"]["body"]))
    assert asked["anthropic_version"] == "bedrock-2023-05-31"


def test_12_count_tokens_estimates_where_nobody_counts():
    reply, calls = count("amazon.nova-lite-v1:0")
    assert reply.estimated
    assert not calls


# 13. opencode#39620, pi#2699
def test_13_throttling_is_not_a_long_prompt():
    words = "Too many tokens, please wait before trying again."
    error = from_refusal(UpstreamRefusal("ThrottlingException", words, status=429))
    assert (error.status, error.type) == (429, "rate_limit_error")
    assert error.retry_after
    assert "prompt is too long" not in error.message


def test_13_a_long_prompt_is_not_throttling():
    words = "Input is too long for requested model."
    error = from_refusal(UpstreamRefusal("ValidationException", words, status=400))
    assert error.status == 400
    assert error.message.startswith("prompt is too long")


# 14. anthropic-sdk-go#185, vercel/ai#14117, cline#3388
ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012"
ARNS = [
    f"{ACCOUNT}:application-inference-profile/abc123",
    f"{ACCOUNT}:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
    f"{ACCOUNT}:provisioned-model/abc",
]


@pytest.mark.parametrize("arn", ARNS)
def test_14_arns_are_encoded_and_never_prefixed(arn):
    endpoint = Endpoint("bedrock-runtime.us-east-1.amazonaws.com", 443, tls=True)
    upstream = BedrockUpstream(None, endpoint, region="us-east-1", credentials=None)
    target = registry("").route(arn).targets[0]
    assert target.bedrock_model_id == arn
    wire_path, signed = upstream._path(
        ModelCall(operation="invoke", bedrock_model_id=arn, body=b"")
    )
    assert wire_path.count("/") == 3
    assert ":" not in wire_path
    request = AWSRequest("POST", f"https://{endpoint.host}{wire_path}", data=b"")
    request.context["timestamp"] = "20260101T000000Z"
    auth = SigV4Auth(Credentials("a", "b"), "bedrock", "us-east-1")
    assert auth.canonical_request(request).splitlines()[1] == signed


# 15. bifrost#5211, luthien-proxy#804, claude-code#87930
class Silent:
    """A stream that says nothing."""

    usage_estimated = False

    async def read(self, seconds):
        return []


def test_15_silence_is_filled_with_pings_until_it_is_too_long():
    now = iter([1.0, 16.0, 31.0, 400.0])
    paced = PacedStream(Silent(), Pacing(), lambda: next(now), started=0.0)
    assert [asyncio.run(paced.read()) for _ in range(3)] == [[PING]] * 3
    with pytest.raises(UpstreamRefusal):
        asyncio.run(paced.read())


def test_15_nothing_comes_before_message_start():
    stream = EndpointStream("m")
    assert stream.receive(SSE.events([PING])) == []
    assert stream.receive(SSE.events(EVENTS[:1]))[0][0] == b"message_start"


def test_15_a_stream_without_message_start_is_an_error_and_no_empty_answer():
    stream = InvokeStream("m")
    stream.end()
    assert stream.failure is not None
    cut = InvokeStream("m")
    cut.receive(STREAM[: len(STREAM) // 2])
    cut.end()
    assert cut.failure is not None


# 16. claude-code#60830, bifrost#908, dynamiq#934, inspect_ai#5131
@native
def test_16_breakpoints_reach_claude_with_their_ttl(column):
    block = {**TEXT, "cache_control": HOUR}
    body = sent(column, messages=[{"role": "user", "content": [block]}], system=[block])
    assert body["messages"][0]["content"] == [block]
    assert body["system"] == [block]


def test_16_breakpoints_on_converse_stand_behind_what_they_cover():
    block = {**TEXT, "cache_control": HOUR}
    results = loop(result={**RESULT, "content": [block]})
    body = sent(BY_KEY["converse"], system=[block], messages=results, tools=[TOOL])
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["system"][1] == point
    assert body["messages"][2]["content"][1] == point


def test_16_cached_tokens_are_told():
    usage = folded(converse_frames({0: [{"text": "Hi"}]}))["usage"]
    assert usage["cache_read_input_tokens"] == 4
    assert usage["cache_creation_input_tokens"] == 3
    assert usage["input_tokens"] == 12
    answer = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}}
    body = encode({**answer, "stopReason": "end_turn", "usage": wire.USAGE})
    whole = decode(finish_converse(body, "m", message_id="msg_1", tool_names={}, stop_sequences=()))
    assert whole["usage"]["cache_read_input_tokens"] == 4


# 17. litellm#26252, litellm#36442, litellm#28083. Bedrock has no web tools: the proxy runs them.
@every_way
@pytest.mark.parametrize(
    "kind", ["web_search_20250305", "web_search_20260318", "web_fetch_20260209"]
)
def test_17_web_tools_become_tools_of_the_model(column, kind):
    search = {"type": kind, "name": kind.rpartition("_")[0]}
    outcome = travel(column, {"tools": [search, TOOL]})
    assert outcome.told == []
    body = encode(outcome.tree).decode()
    assert search["name"] in body  # as a tool, or in the description of code that calls it
    assert kind not in body


@every_way
def test_17_tool_search_is_not_refused_by_a_list_of_tags(column):
    search = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    names = encode(sent(column, tools=[search, *DEFERRED["tools"]]))
    assert b"tool_search_tool_regex" in names


# 18. skills#29. No skills on Bedrock: refused clearly.
@every_way
def test_18_skills_are_refused_by_name(column):
    skills = [{"type": "anthropic", "skill_id": "pdf", "version": "latest"}]
    refused(column, {"container": {"skills": skills}}, "container")


# 19. SDKs since 2.0 name the version 2026-10-21, which Claude 4.6 and older refuse.
@every_way
@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_19_the_version_is_one_that_every_claude_takes(column, version):
    request, target = arrive(column, {"model": column.model, **BASE}, version)
    call = convert(request, target, options_of(request, column)).call
    body = decode(call.body)
    if column.dialect == "invoke":
        assert body["anthropic_version"] == "bedrock-2023-05-31"
    elif column.dialect == "converse":
        assert b"anthropic_version" not in call.body
    else:
        assert dict(call.headers)["anthropic-version"] == "2023-06-01"


# 20. litellm's table: what Claude Code needs fails on Converse and passes on InvokeModel.
def test_20_claude_is_never_sent_to_converse_unless_forced():
    own = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
    claudes = [model.id for model in own.models if model.id.startswith("claude-")]
    assert len(claudes) > 10
    for name in claudes:
        assert "converse" not in {target.dialect for target in own.route(name).targets}


@every_way
def test_20_claude_code_is_served_on_every_way(column):
    for stream in (False, True):
        outcome = travel(column, {**CLAUDE_CODE, "stream": stream}, CLAUDE_CODE_FLAGS)
        assert not outcome.refusal
