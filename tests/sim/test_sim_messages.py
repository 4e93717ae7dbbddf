"""The two Messages endpoints, with the Anthropic SDK's own clients as the oracle."""

from __future__ import annotations

import json

import pytest

KEY_ID, SECRET, TOKEN = "AKIDSIMULATOR", "simulator/secret+key", "bedrock-api-key-sim"
OPUS_48, HAIKU_45 = "us.anthropic.claude-opus-4-8", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BARE = "anthropic.claude-opus-4-8"
MANTLE = "/mantle/anthropic/v1/messages"
COUNT = f"{MANTLE}/count_tokens"
ASK = {"max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
NEW = {"anthropic-version": "2026-10-21"}
EXTRA = "Extra inputs are not permitted"


def events_of(data):
    """SSE bytes as (event name, data) in order."""
    blocks = [block.split("\n") for block in data.decode().split("\n\n") if block]
    return [
        (name.removeprefix("event: "), json.loads(rest.removeprefix("data: ")))
        for name, rest in blocks
    ]


@pytest.fixture(params=["/mantle/anthropic", "/anthropic"])
def mantle(request, address):
    anthropic = pytest.importorskip("anthropic", reason="the SDK is the oracle")
    with anthropic.AnthropicBedrockMantle(
        base_url=address + request.param,
        aws_access_key=KEY_ID,
        aws_secret_key=SECRET,
        aws_region="us-east-1",
        max_retries=0,
    ) as client:
        yield client


def test_the_sdk_speaks_to_mantle_by_signature(mantle, sim):
    message = mantle.messages.create(model=BARE, **ASK)
    assert message.model == "claude-opus-4-8"
    with mantle.messages.stream(model=BARE, **ASK) as stream:
        final = stream.get_final_message()
    assert final.content[0].text == message.content[0].text
    assert final.usage.output_tokens == message.usage.output_tokens
    asked = {"model": BARE, "messages": ASK["messages"]}
    assert mantle.messages.count_tokens(**asked).input_tokens == message.usage.input_tokens
    # The SDK's beta namespace sends a flag of its own.
    mantle.beta.messages.count_tokens(**asked)
    logged = sim.requests()
    assert [entry["operation"] for entry in logged] == [
        "MantleMessages",
        "MantleMessagesStream",
        "MantleCountTokens",
        "MantleCountTokens",
    ]
    assert {(entry["model"], entry["auth"]) for entry in logged} == {(BARE, "sigv4")}
    assert logged[0]["billed_usage"]["output_tokens"] == message.usage.output_tokens
    assert logged[2]["billed_usage"] is None


def test_the_sdk_speaks_to_runtime_by_bearer_token(address, sim):
    anthropic = pytest.importorskip("anthropic", reason="the SDK is the oracle")
    with anthropic.Anthropic(
        base_url=f"{address}/anthropic", api_key=TOKEN, max_retries=0
    ) as client:
        message = client.messages.create(model=OPUS_48, **ASK)
        with client.messages.stream(model=OPUS_48, **ASK) as stream:
            assert stream.get_final_message().content[0].text == message.content[0].text
        with pytest.raises(anthropic.NotFoundError, match=SONNET_45):
            client.messages.create(model=SONNET_45, **ASK)
    logged = sim.requests()
    assert [(entry["operation"], entry["status"]) for entry in logged] == [
        ("Messages", 200),
        ("MessagesStream", 200),
        ("Messages", 404),
    ]
    assert {entry["auth"] for entry in logged} == {"bearer"}


def test_the_stream_is_anthropics_without_ping(ask, sim):
    _, headers, received = ask(model=OPUS_48, stream=True)
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["request-id"].startswith("req_")
    events = events_of(received)
    names = [name for name, _ in events]
    assert names == [data["type"] for _, data in events]
    assert names[:2] == ["message_start", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(names[2:-3]) == {"content_block_delta"}
    assert events[-1][1] == {"type": "message_stop"}


@pytest.mark.parametrize(
    ("service", "path", "expected"),
    [
        ("bedrock", "/anthropic/v1/messages", 200),
        ("bedrock-mantle", "/mantle/anthropic/v1/messages", 200),
        ("bedrock-mantle", "/anthropic/v1/messages", 200),
        ("bedrock", "/mantle/anthropic/v1/messages", 401),
        ("execute-api", "/anthropic/v1/messages", 401),
    ],
)
def test_the_signing_service_tells_them_apart(address, ask, error_of, sim, service, path, expected):
    auth = pytest.importorskip("botocore.auth", reason="botocore is the reference signer")
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415  # only present with botocore
    from botocore.credentials import Credentials  # noqa: PLC0415

    model = BARE if service == "bedrock-mantle" else OPUS_48
    data = json.dumps({"model": model, **ASK})
    request = AWSRequest("POST", address + path, data=data)
    auth.SigV4Auth(Credentials(KEY_ID, SECRET), service, "eu-west-1").add_auth(request)
    answer = ask(path, {**dict(request.headers.items()), "authorization": None}, raw=data)
    assert answer[0] == expected
    if expected == 401:
        assert error_of(answer)[1] == "authentication_error"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/anthropic/v1/messages", {"authorization": "Bearer nonsense"}),
        ("/anthropic/v1/messages", {"authorization": None}),
        ("/anthropic/v1/messages", {"authorization": None, "x-api-key": TOKEN}),
        (MANTLE, {"authorization": None, "x-api-key": "nonsense"}),
    ],
)
def test_strangers(ask, error_of, sim, path, headers):
    assert error_of(ask(path, headers, model=OPUS_48))[:2] == (401, "authentication_error")


def test_mantle_takes_the_token_as_an_api_key(ask, sim):
    headers = {"authorization": None, "x-api-key": TOKEN}
    assert ask(MANTLE, headers, model=BARE)[0] == 200
    assert sim.requests()[0]["auth"] == "bearer"


@pytest.mark.parametrize(
    ("method", "path", "raw", "status"),
    [
        ("GET", "/anthropic/v1/messages", "", 404),
        ("POST", "/anthropic/v1/messages/count_tokens", None, 404),
        ("POST", "/anthropic/v1/complete", None, 404),
        ("GET", "/mantle/anthropic/v1/models", "", 404),
        ("POST", "/mantle/model/x/invoke", None, 404),
        ("POST", "/anthropic/v1/messages", "{", 400),
        ("POST", "/anthropic/v1/messages", b" " * 25_000_001, 413),
    ],
)
def test_paths_and_bodies_that_are_none(ask, error_of, sim, method, path, raw, status):
    assert error_of(ask(path, method=method, raw=raw, model=OPUS_48))[0] == status


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        ({"type": "ThrottlingException"}, 429, "rate_limit_error"),
        ({"type": "ServiceQuotaExceededException"}, 429, "rate_limit_error"),
        ({"type": "ServiceUnavailableException"}, 529, "overloaded_error"),
        ({"type": "ModelNotReadyException"}, 529, "overloaded_error"),
        ({"type": "ModelTimeoutException"}, 504, "timeout_error"),
        ({"type": "ModelErrorException"}, 500, "api_error"),
        ({"type": "InternalServerException"}, 500, "api_error"),
        ({"type": "AccessDeniedException"}, 403, "permission_error"),
        ({"type": "ExpiredTokenException"}, 401, "authentication_error"),
        ({"type": "overloaded_error"}, 529, "overloaded_error"),
        ({"type": "rate_limit_error", "status": 499}, 499, "rate_limit_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_scripted_errors_are_anthropics(ask, error_of, sim, error, status, type_, stream):
    sim.script([{"error": {**error, "message": "scripted", "retry_after": 3}}])
    answer = ask(model=OPUS_48, stream=stream)
    assert error_of(answer) == (status, type_, "scripted")
    assert answer[1]["retry-after"] == "3"
    operation = "MessagesStream" if stream else "Messages"
    assert sim.stats()["operations"] == {operation: {str(status): 1}}


def test_the_envelope_of_aws_may_be_asked_for(ask, sim):
    sim.script([{"error": {"type": "ThrottlingException", "message": "no", "envelope": "aws"}}])
    status, headers, received = ask(model=OPUS_48)
    assert (status, headers["x-amzn-errortype"]) == (429, "ThrottlingException")
    assert json.loads(received) == {"message": "no"}


def test_an_error_inside_the_stream(ask, sim):
    fault = {"kind": "exception", "after_events": 3, "type": "throttlingException"}
    sim.script([{"faults": [{**fault, "message": "slow down"}]}])
    events = events_of(ask(model=OPUS_48, stream=True)[2])
    assert len(events) == 4
    name, data = events[-1]
    assert name == "error"
    assert data["error"] == {"type": "rate_limit_error", "message": "slow down"}
    assert data["request_id"].startswith("req_")
    [entry] = sim.requests()
    assert (entry["outcome"], entry["error_type"]) == ("faulted", "rate_limit_error")
    assert 0 < entry["billed_usage"]["output_tokens"] < 30


def test_cuts_and_chopping_work_on_server_sent_events(ask, sim):
    sim.script(
        [
            {"faults": [{"kind": "cut", "after_events": 2, "at_byte": 10}]},
            {"chunk_bytes": 7, "event_delay_ms": 1},
            {"raw_events": [{"type": "ping"}, {"type": "novelty", "x": 1}]},
        ]
    )
    cut = ask(MANTLE, model=BARE, stream=True)[2]
    assert cut.count(b"\n\n") == 2
    assert len(cut.rpartition(b"\n\n")[2]) == 10
    assert events_of(ask(MANTLE, model=BARE, stream=True)[2])[-1][0] == "message_stop"
    raw = events_of(ask(MANTLE, model=BARE, stream=True)[2])
    assert raw == [("ping", {"type": "ping"}), ("novelty", {"type": "novelty", "x": 1})]
    assert [entry["outcome"] for entry in sim.requests()] == ["faulted", "finished", "finished"]


def test_steps_select_by_operation_and_model(ask, sim):
    error = {"type": "ThrottlingException"}
    sim.script(
        [
            {"match": {"operation": "MantleMessages"}, "error": error},
            {"match": {"model": "haiku"}, "error": error},
        ]
    )
    assert ask(model=OPUS_48)[0] == 200
    assert ask(MANTLE, model=BARE)[0] == 429
    assert ask(model=HAIKU_45)[0] == 429
    assert sim.queued() == []


def test_the_service_tier_is_echoed_by_runtime(ask, sim):
    name = "x-amzn-bedrock-service-tier"
    assert ask(headers={name: "flex"}, model=OPUS_48)[1][name] == "flex"
    assert ask(headers={name: "cheapest"}, model=OPUS_48)[0] == 400
    assert ask(MANTLE, {name: "flex"}, model=BARE)[1][name] is None
