from __future__ import annotations

import asyncio
import json
import os
import tracemalloc

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.models.registry import Target
from anthropic_bedrock_proxy.telemetry.access_log import AccessLog, RequestLines
from anthropic_bedrock_proxy.telemetry.ended_requests import EndedRequest
from anthropic_bedrock_proxy.telemetry.output import Output
from anthropic_bedrock_proxy.timeline import OK, TraceContext, UpstreamRequest

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def request_of(path, traceparent=None):
    return EndedRequest("POST", path, "10.0.0.1", traceparent)


REQUEST = request_of("/v1/messages")


class Log:
    """An access log to a descriptor, with the lines that it is given."""

    def __init__(self, log_format, *, fd, secrets=()):
        self.access_log = AccessLog(log_format, Output(fd))
        self.lines = RequestLines([self.access_log], secrets=secrets)
        self.flush = self.access_log.flush

    def __call__(self, request, exchange):
        self.lines(request, exchange)


def exchange(**fields):
    made = Exchange("req_1", started=0.0, at_ms=0)
    made.status = 200
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_access_lines_are_batched_and_flushed(pipe):
    async def main():
        log = Log("json", fd=pipe[1])
        log(REQUEST, exchange(model="m", error_type="api_error"))
        log(REQUEST, exchange())
        log.flush()
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    first, second = map(json.loads, os.read(pipe[0], 65536).splitlines())
    assert (first["access"], first["status"], first["model"]) == ("POST /v1/messages", 200, "m")
    assert first["error"] == "api_error"
    assert "model" not in second


def test_access_lines_are_written_by_themselves(pipe):
    async def main():
        log = Log("text", fd=pipe[1])
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        loop.add_reader(pipe[0], lambda: written.done() or written.set_result(None))
        log(REQUEST, exchange(model="m", error_type="api_error"))
        await written
        loop.remove_reader(pipe[0])

    asyncio.run(main())
    os.close(pipe[1])
    line = os.read(pipe[0], 65536)
    assert b" 200 POST /v1/messages " in line
    assert line.endswith(b"m in=0 out=0 api_error req_1\n")


def test_a_client_cannot_write_lines_of_its_own(pipe):
    async def main():
        for log_format in ("text", "json"):
            log = Log(log_format, fd=pipe[1])
            odd = request_of("/x\n12:00 200 POST " + "y" * 5000)
            log(odd, exchange(model="\x1b[2J\n"))
            log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    lines = os.read(pipe[0], 65536).split(b"\n")
    assert len(lines) == 3
    assert b"\x1b" not in b"".join(lines)
    assert all(len(line) < 600 for line in lines)


SECRET = "sk-" + "Ab1_" * 10 + "xyz"
ACCOUNT = "123456789012"
ARN = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/"
MASTER = "an operator's own words"
PASTED = [
    (SECRET, SECRET),
    (f"before{SECRET[2:]}/{SECRET}", SECRET),
    (SECRET.replace("-", "%2D"), SECRET[3:]),
    (SECRET.replace("-", "%252d"), SECRET[3:]),
    (f"{SECRET.upper()}?x", SECRET.upper()),
    (SECRET[3:], SECRET[3:]),
    ("0123456789abcdef" * 2, "0123456789abcdef"),
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("bedrock-api-key-YmVkcm9jazEyMzQ1Njc4", "YmVkcm9jazEyMzQ1Njc4"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJzdWIiOiIxIn0"),
    (f"x {MASTER} y", MASTER),
    (MASTER.replace(" ", "%20"), MASTER.replace(" ", "%20")),
    ("x" * 190 + f"/{SECRET}", SECRET[:20]),
    ("123456789012", "123456789012"),
    (f"{ARN}abc1", ACCOUNT),
    (ARN.replace(":", "%3A"), ACCOUNT),
    ("x" * 160 + ARN, ACCOUNT[:4]),
]


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    os.close(read)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(("pasted", "secret"), PASTED)
def test_a_key_that_was_pasted_into_a_path_or_for_a_model_is_in_no_line(
    pipe, log_format, pasted, secret
):
    async def main():
        log = Log(log_format, fd=pipe[1], secrets=[MASTER])
        for path in (f"/{pasted}", f"/v1/models/{pasted}/x"):
            log(request_of(path), exchange(model=pasted))
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    lines = os.read(pipe[0], 65536).decode()
    assert secret not in lines
    assert lines.count("\n") == 2


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/count_tokens",
        "/v1/models/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "/admin/api/keys/key_abcdefghij234567/rotate",
        "/v1/models/arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x",
        "/task-force-of-1",
    ],
)
def test_other_paths_are_as_they_were(pipe, path):
    async def main():
        log = Log("text", fd=pipe[1])
        log(request_of(path), exchange())
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    assert f" POST {path} " in os.read(pipe[0], 65536).decode()


def test_the_words_of_clients_are_not_remembered_whole():
    lines = RequestLines([lambda *_: None])
    line_of(REQUEST, exchange(model="warm"))
    tracemalloc.start()
    for number in range(10):
        name = f"{number}" + "x" * 1_000_000
        lines(request_of(name), exchange(model=name))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_100_000  # `name` itself


def test_a_full_batch_is_written_at_once(pipe):
    async def main():
        log = Log("json", fd=pipe[1])
        for _ in range(400):
            log(REQUEST, exchange())
        assert len(log.access_log._lines.waiting) < 400
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    assert os.read(pipe[0], 1 << 20).count(b"\n") == 400


def test_a_log_that_nobody_reads_does_not_stop_serving():
    async def main():
        read, write = os.pipe()
        os.close(read)
        log = Log("json", fd=write)
        log(REQUEST, exchange())
        log.flush()
        os.close(write)

    asyncio.run(main())


def line_of(request, told):
    lines = []
    RequestLines([lambda line, *_: lines.append(line)])(request, told)
    return lines[0]


def failed_over():
    """A streamed request that one provider refused, and that its client left."""
    told = exchange(model="claude-x", stream=True, started=10.0, received=10.002, ended=12.5)
    told.target = Target("ireland", "invoke", "us.anthropic.claude-x", None)
    told.told, told.client_gone, told.cost_nano = 11.0, True, 1_500_000
    told.timeline.upstream += [
        UpstreamRequest("default", "m", "invoke", 1, 10.003, 10.003, 0.0, 10.1, "Throttling", 429),
        UpstreamRequest("ireland", "m", "invoke", 1, 10.2, 10.2, 10.995, 12.4, "cancelled"),
    ]
    told.meter.observe_message(
        b'{"type":"message","content":[],"usage":{"input_tokens":3,"output_tokens":5,"cache_read_input_tokens":7,'
        b'"cache_creation_input_tokens":11}}'
    )
    return told


def test_a_line_tells_what_bedrock_was_asked_and_what_it_cost():
    line = line_of(REQUEST, failed_over())
    assert (line.dialect, line.provider) == ("invoke", "ireland")
    assert line.bedrock_model_id == "us.anthropic.claude-x"
    assert (line.input_tokens, line.output_tokens) == (3, 5)
    assert (line.cache_read_tokens, line.cache_write_tokens) == (7, 11)
    assert (line.cost_usd, line.retries, line.disconnected) == (0.0015, 1, True)
    assert line.upstream_ms == pytest.approx(97 + 2200, abs=0.1)
    assert line.overhead_ms == pytest.approx(1, abs=0.1)  # the other half is the client's: it left
    assert line.ms == pytest.approx(2500, abs=0.1)


def test_the_account_of_a_target_is_hidden():
    told = failed_over()
    told.model = ARN + "abc1"
    told.target = Target("ireland", "invoke", ARN + "abc1", None)
    line = line_of(REQUEST, told)
    assert line.bedrock_model_id == line.model == ARN.replace(ACCOUNT, "(account)") + "abc1"


def test_a_request_without_a_model_has_a_short_line():
    written = json.loads(json_line(REQUEST, exchange(ended=0.25)))
    assert written.keys() == {"time", "access", "status", "request_id", "ms", "client"}
    assert written["ms"] == 250.0
    assert written["time"] == "1970-01-01T00:00:00.250Z"


def json_line(request, told):
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader:

        async def main():
            log = Log("json", fd=write)
            log(request, told)
            log.flush()

        asyncio.run(main())
        os.close(write)
        return reader.read()


def test_a_line_names_the_trace_of_the_caller_or_our_own():
    assert (
        line_of(request_of("/", traceparent=PARENT), exchange()).trace_id == PARENT[3:35].decode()
    )
    assert line_of(request_of("/", traceparent=b"00-what"), exchange()).trace_id == ""
    traced = exchange()
    traced.timeline.trace = TraceContext("a" * 32, "b" * 16)
    assert line_of(request_of("/", traceparent=PARENT), traced).trace_id == "a" * 32


def test_text_for_people_tells_cost_retries_and_who_left(pipe):
    async def main():
        log = Log("text", fd=pipe[1])
        log(REQUEST, failed_over())
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    assert os.read(pipe[0], 65536).endswith(
        b"2500.0ms claude-x in=3 out=5 $0.001500 retries=1 disconnected req_1\n"
    )


def test_text_for_people_tells_what_refused(pipe):
    async def main():
        log = Log("text", fd=pipe[1])
        told = {"error_type": "rate_limit_error", "error_cause": "limit:key/requests"}
        log(REQUEST, exchange(**told))
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    assert os.read(pipe[0], 65536).endswith(b" rate_limit_error (limit:key/requests) req_1\n")


def test_a_model_call_of_a_turn_is_no_retry():
    told = exchange(model="m")
    told.timeline.upstream += [
        UpstreamRequest("default", "m", "invoke", step, 1.0, 1.0, 1.5, 2.0, OK) for step in (1, 2)
    ]
    told.timeline.step = 2
    assert line_of(REQUEST, told).retries == 0


def test_a_model_call_that_was_not_made_takes_no_retry_from_those_before():
    told = exchange(model="m")
    told.timeline.upstream += [
        UpstreamRequest("default", "m", "invoke", step, 1.0, 1.0, 0.0, 2.0, OK)
        for step in (1, 2, 2)
    ]
    told.timeline.step = 3  # refused before Bedrock was asked
    assert line_of(REQUEST, told).retries == 1
    del told.timeline.upstream[2]
    assert line_of(REQUEST, told).retries == 0
